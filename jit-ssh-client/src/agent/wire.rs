//! The agent's messages, byte for byte. Lengths come from another process: each is checked, none is trusted.

use zeroize::Zeroizing;

/// OpenSSH's own limit (`AGENT_MAX_LEN`).
pub const LARGEST: usize = 256 * 1024;

const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const REMOVE_IDENTITY: u8 = 18;
const ADD_ID_CONSTRAINED: u8 = 25;
const CONSTRAIN_LIFETIME: u8 = 1;
const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com";

/// A framed message; may hold a private key.
pub type Message = Zeroizing<Vec<u8>>;

/// An entry of the agent's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The public key or certificate.
    pub blob: Vec<u8>,
    /// Its comment.
    pub comment: String,
}

/// Asks for the list.
pub fn list() -> Message {
    Zeroizing::new(vec![0, 0, 0, 1, REQUEST_IDENTITIES])
}

/// The entries of a list; none if the answer is no list.
pub fn parse_list(answer: &[u8]) -> Option<Vec<Listed>> {
    let (&kind, rest) = answer.split_first()?;
    let (count, mut rest) = number(rest)?;
    // Each entry takes two lengths at least: a count beyond that is a lie, found before anything is set aside for it.
    let possible = usize::try_from(count).is_ok_and(|count| count <= rest.len() / 8);
    if kind != IDENTITIES_ANSWER || !possible {
        return None;
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let (blob, after) = string(rest)?;
        let (comment, after) = string(after)?;
        entries.push(Listed { blob: blob.to_vec(), comment: String::from_utf8_lossy(comment).into_owned() });
        rest = after;
    }
    rest.is_empty().then_some(entries)
}

/// Adds an Ed25519 certificate with its private key, to be dropped after `seconds`.
pub fn add_certificate(
    certificate: &[u8],
    public: &[u8; 32],
    seed: &[u8; 32],
    comment: &str,
    seconds: u32,
) -> Option<Message> {
    let secret = Zeroizing::new([seed.as_slice(), public.as_slice()].concat());
    // Room for all of it at once: a vector that grows would leave copies of the key behind.
    let mut body = Zeroizing::new(Vec::with_capacity(certificate.len() + comment.len() + 256));
    body.push(ADD_ID_CONSTRAINED);
    for field in [CERTIFICATE.as_bytes(), certificate, public, &secret, comment.as_bytes()] {
        put_string(&mut body, field)?;
    }
    body.push(CONSTRAIN_LIFETIME);
    body.extend(seconds.to_be_bytes());
    framed(&body)
}

/// Removes one entry.
pub fn remove(blob: &[u8]) -> Option<Message> {
    let mut body = vec![REMOVE_IDENTITY];
    put_string(&mut body, blob)?;
    framed(&body)
}

/// Whether the answer is yes.
pub fn is_success(answer: &[u8]) -> bool {
    answer == [SUCCESS]
}

fn framed(body: &[u8]) -> Option<Message> {
    let mut message = Zeroizing::new(Vec::with_capacity(body.len() + 4));
    put_string(&mut message, body)?;
    (message.len() <= LARGEST).then_some(message)
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend(bytes);
    Some(())
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}
