//! Thousands of random certificates, each made twice: by stock `ssh-keygen -s` and by the ca room, from the same input.
//! They are the same in every byte; the nonce is random, so ours takes over theirs, and Ed25519 being deterministic
//! even the signature is then the same.

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca_server::ca::Spec;
use e2e::kit::{
    chance::Chance,
    keygen::{self, ssh_keygen},
};
use ed25519_dalek::{Signer as _, SigningKey};
use ssh_key::{PrivateKey, PublicKey};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const SPECS: u64 = 2_000;

/// One certificate to make: the signer's choices, and whose key.
struct Case {
    spec: Spec,
    subject: String,
}

fn case(seed: u64, subjects: &[String]) -> Case {
    let mut chance = Chance::seeded(seed);
    let after = chance.below(1 << 33);
    let mut critical_options = BTreeMap::new();
    if chance.one_in(3) {
        critical_options.insert("force-command".to_owned(), chance.text(1, 300, PRINTABLE));
    }
    if chance.one_in(3) {
        let networks = ["198.51.100.0/24", "10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32", "::1/128"];
        let some: Vec<&str> = networks.into_iter().filter(|_| chance.one_in(2)).collect();
        critical_options
            .insert("source-address".to_owned(), if some.is_empty() { "0.0.0.0/0".into() } else { some.join(",") });
    }
    if chance.one_in(5) {
        critical_options.insert("verify-required".to_owned(), String::new());
    }
    let mut extensions = BTreeMap::new();
    for flag in FLAGS {
        if chance.one_in(2) {
            extensions.insert(flag.to_owned(), String::new());
        }
    }
    for name in ["grant@jit-ssh", "until@jit-ssh", "record@jit-ssh", "elevate@jit-ssh"] {
        if chance.one_in(2) {
            let value = if chance.one_in(4) { String::new() } else { chance.text(1, 60, PRINTABLE) };
            extensions.insert(name.to_owned(), value);
        }
    }
    let count = if chance.one_in(20) { 64 } else { 1 + chance.below(5) };
    let spec = Spec {
        serial: if chance.one_in(10) { u64::MAX >> 1 } else { 1 + (chance.next() >> 1) },
        key_id: chance.text(1, 200, PRINTABLE),
        principals: (0..count).map(|_| chance.text(1, 60, PRINCIPAL)).collect(),
        valid_after: after,
        valid_before: after + 1 + chance.below(1 << 30),
        critical_options,
        extensions,
    };
    let subject = subjects[usize::try_from(chance.below(subjects.len() as u64)).unwrap_or(0)].clone();
    Case { spec, subject }
}

const PRINTABLE: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._@:/-=+,;$%'\"\\()[]{}<>|&*?!#~^`";
const PRINCIPAL: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:/-";
const FLAGS: [&str; 6] = [
    "no-touch-required",
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_what_ssh_keygen_makes_of_the_same_input_byte_for_byte() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("jit-ssh-bytes-").tempdir()?;
    let ca_path = dir.path().join("ca");
    keygen::key(&ca_path, "ed25519").await?;
    let ca = Arc::new(Ca::read(&ca_path)?);
    let subjects = Arc::new(subjects(dir.path()).await?);
    let seed: u64 = chance_seed();

    let mut running = tokio::task::JoinSet::new();
    for number in 0..SPECS {
        if running.len() >= 4 {
            running.join_next().await.context("nothing runs")???;
        }
        let (ca, subjects, dir) = (Arc::clone(&ca), Arc::clone(&subjects), dir.path().to_owned());
        running.spawn(async move {
            let case = case(seed.wrapping_add(number), &subjects);
            let theirs = by_ssh_keygen(&dir.join(format!("c{number}")), &ca.path, &case).await;
            let theirs = theirs.with_context(|| format!("seed {seed}, {number}: {:?}", case.spec))?;
            compare(&ca, &case, &theirs).with_context(|| format!("seed {seed}, {number}: {:?}", case.spec))
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

/// Another input each run; the seed stands in the failure, and `JIT_SSH_SEED` brings it back.
fn chance_seed() -> u64 {
    let given = std::env::var("JIT_SSH_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| Chance::unseeded().next())
}

struct Ca {
    path: PathBuf,
    public: PublicKey,
    signing: SigningKey,
}

impl Ca {
    fn read(path: &Path) -> Result<Self> {
        let private = PrivateKey::read_openssh_file(path)?;
        let pair = private.key_data().ed25519().context("an Ed25519 key")?;
        let signing = SigningKey::from_bytes(&pair.private.to_bytes());
        Ok(Self { path: path.to_owned(), public: private.public_key().clone(), signing })
    }
}

fn compare(ca: &Ca, case: &Case, theirs: &[u8]) -> Result<()> {
    let mut rest = theirs;
    take_string(&mut rest)?;
    let nonce: [u8; 32] = take_string(&mut rest)?.try_into()?;
    let subject = PublicKey::from_openssh(&case.subject)?;
    let mut ours = case.spec.to_be_signed(&nonce, &subject, &ca.public)?;
    let signature = ca.signing.sign(&ours).to_bytes();
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519")?;
    put_string(&mut blob, &signature)?;
    put_string(&mut ours, &blob)?;
    ensure!(ours == theirs, "ours  {}\ntheirs {}", STANDARD.encode(&ours), STANDARD.encode(theirs));
    Ok(())
}

async fn by_ssh_keygen(path: &Path, ca: &Path, Case { spec, subject }: &Case) -> Result<Vec<u8>> {
    let public = keygen::public(path);
    fs::write(&public, format!("{subject}\n"))?;
    let validity = format!("0x{:x}:0x{:x}", spec.valid_after, spec.valid_before);
    let mut args: Vec<String> = ["-q", "-s"].map(str::to_owned).to_vec();
    args.extend([ca.display().to_string(), "-I".into(), spec.key_id.clone(), "-z".into(), spec.serial.to_string()]);
    args.extend(["-n".into(), spec.principals.join(","), "-V".into(), validity, "-O".into(), "clear".into()]);
    for (name, value) in &spec.critical_options {
        args.extend(["-O".into(), if value.is_empty() { name.clone() } else { format!("{name}={value}") }]);
    }
    for (name, value) in &spec.extensions {
        let option = match value.as_str() {
            "" if FLAGS.contains(&name.as_str()) => name.clone(),
            "" => format!("extension:{name}"),
            value => format!("extension:{name}={value}"),
        };
        args.extend(["-O".into(), option]);
    }
    args.push(public.display().to_string());
    ssh_keygen(args).await?;
    let certificate = keygen::certificate(path);
    let line = fs::read_to_string(&certificate)?;
    fs::remove_file(certificate)?;
    fs::remove_file(public)?;
    Ok(STANDARD.decode(line.split(' ').nth(1).context("no certificate")?)?)
}

/// Public keys of every type that may be certified. Keys of a security key are put together by hand: the private half,
/// which nobody here has, is not needed.
async fn subjects(dir: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for kind in ["ed25519", "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:3072"] {
        lines.push(keygen::key(&dir.join(kind.replace(':', "-")), kind).await?);
    }
    for (line, name) in [(0, "sk-ssh-ed25519@openssh.com"), (1, "sk-ecdsa-sha2-nistp256@openssh.com")] {
        let blob = STANDARD.decode(lines[line].split(' ').nth(1).context("a key")?)?;
        let mut key = blob.as_slice();
        take_string(&mut key)?;
        let mut wire = Vec::new();
        put_string(&mut wire, name.as_bytes())?;
        wire.extend_from_slice(key);
        put_string(&mut wire, b"ssh:")?;
        lines.push(format!("{name} {}", STANDARD.encode(wire)));
    }
    Ok(lines)
}

fn take_string<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { bail!("too short") };
    let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).context("too short")?;
    *bytes = rest;
    Ok(string)
}

fn put_string(bytes: &mut Vec<u8>, string: &[u8]) -> Result<()> {
    bytes.extend_from_slice(&u32::try_from(string.len())?.to_be_bytes());
    bytes.extend_from_slice(string);
    Ok(())
}
