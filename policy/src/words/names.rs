//! Names: accounts, hosts, groups, subjects, ids. ASCII wherever OpenSSH, a log or a path will see them.

use super::text::{WordError, is_hidden, text_word};

text_word!(
    /// A login name on a host: 1 to 64 of `A-Z a-z 0-9 . _ - @`, starting with a letter, a digit or `_`. A directory
    /// account may hold an `@` (`deploy@corp.example`), never at its end.
    Account,
    account
);
text_word!(
    /// A host's name in the inventory: RFC 1123 labels, folded to lower case, at most 253 bytes. Never an option
    /// (no leading `-`), never a pattern.
    HostName,
    host_name
);
text_word!(
    /// A group of hosts in the inventory: 1 to 64 of `a-z 0-9 . _ -`, starting with a letter or a digit.
    HostGroup,
    host_group
);
text_word!(
    /// A group of people as the issuer's claim names it: 1 to 256 bytes, compared byte for byte. No control, bidi or
    /// zero-width characters.
    Group,
    group
);
text_word!(
    /// `sub` of a token: 1 to 255 printable ASCII bytes (OIDC Core 2).
    Subject,
    subject
);
text_word!(
    /// `iss` of a token: an absolute URL of at most 512 printable ASCII bytes, compared byte for byte (RFC 9207 2.4).
    Issuer,
    issuer
);
text_word!(
    /// A verified e-mail address: printable ASCII, one `@` with text on both sides, at most 254 bytes.
    Email,
    email
);
text_word!(
    /// The `@id` of a policy: 1 to 64 of `A-Z a-z 0-9 . _ / -`.
    PolicyId,
    policy_id
);
text_word!(
    /// Why access is wanted, in a person's words: one line of 1 to 1,000 bytes without control or bidi characters.
    Reason,
    reason
);
text_word!(
    /// A ticket's number: 1 to 64 of `A-Z a-z 0-9 . _ # / -`.
    Ticket,
    ticket
);
text_word!(
    /// An incident's number: 1 to 64 of `A-Z a-z 0-9 . _ # / -`.
    Incident,
    incident
);
text_word!(
    /// A grant's id: `g-` and 24 lower-case hex digits (96 random bits).
    GrantId,
    grant_id
);
text_word!(
    /// A login session's id: `s-` and 24 lower-case hex digits (96 random bits). An id, not a secret.
    SessionId,
    session_id
);
text_word!(
    /// A request's id: `r-` and 24 lower-case hex digits (96 random bits). Its grant has the same digits.
    RequestId,
    request_id
);

text_word!(
    /// A freeze's id: `f-` and 24 lower-case hex digits (96 random bits).
    FreezeId,
    freeze_id
);

impl Reason {
    /// As one word of a shell, for a command to type.
    pub fn quoted(&self) -> String {
        format!("'{}'", self.0.replace('\'', r"'\''"))
    }
}

impl FreezeId {
    /// The id for 96 random bits of the caller's.
    pub fn from_random(random: [u8; 12]) -> Self {
        Self(format!("f-{}", hex(random)))
    }
}

impl RequestId {
    /// The id for 96 random bits of the caller's.
    pub fn from_random(random: [u8; 12]) -> Self {
        Self(format!("r-{}", hex(random)))
    }

    /// The id of the grant that this request may become.
    pub fn grant(&self) -> GrantId {
        GrantId(self.0.replacen("r-", "g-", 1))
    }
}

impl GrantId {
    /// The request it came from, if it came from one: standing access has grants without.
    pub fn request(&self) -> RequestId {
        RequestId(self.0.replacen("g-", "r-", 1))
    }
}

impl GrantId {
    /// The id for 96 random bits of the caller's.
    pub fn from_random(random: [u8; 12]) -> Self {
        Self(format!("g-{}", hex(random)))
    }
}

impl SessionId {
    /// The id for 96 random bits of the caller's.
    pub fn from_random(random: [u8; 12]) -> Self {
        Self(format!("s-{}", hex(random)))
    }
}

fn hex(bytes: [u8; 12]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(24), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn account(text: &str) -> Result<String, WordError> {
    const RULE: WordError = WordError::new(
        "account",
        "use 1 to 64 letters, digits, '.', '_', '-' or '@', starting with a letter, a digit or '_'",
    );
    let first = text.bytes().next().ok_or(RULE)?;
    let body = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b));
    let start = first.is_ascii_alphanumeric() || first == b'_';
    (body && start && text.len() <= 64 && !text.ends_with('@')).then(|| text.to_owned()).ok_or(RULE)
}

fn host_name(text: &str) -> Result<String, WordError> {
    const RULE: WordError = WordError::new(
        "host name",
        "use labels of letters, digits and inner '-' joined by '.', at most 253 characters",
    );
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_ascii_lowercase()).ok_or(RULE)
}

fn host_group(text: &str) -> Result<String, WordError> {
    const RULE: WordError =
        WordError::new("host group", "use 1 to 64 of a-z, 0-9, '.', '_', '-', starting with a letter or a digit");
    let first = text.bytes().next().ok_or(RULE)?;
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (lower(first) && text.len() <= 64 && text.bytes().all(|b| lower(b) || b"._-".contains(&b)))
        .then(|| text.to_owned())
        .ok_or(RULE)
}

fn group(text: &str) -> Result<String, WordError> {
    visible(text, 256)
        .ok_or(WordError::new("group", "use 1 to 256 bytes without control, bidi or zero-width characters"))
}

fn reason(text: &str) -> Result<String, WordError> {
    visible(text.trim(), 1000)
        .ok_or(WordError::new("reason", "use one line of 1 to 1000 bytes without control or bidi characters"))
}

/// Text that a terminal, a log and a reviewer all see as it is (CVE-2021-42574 is about the ones that do not).
fn visible(text: &str, most: usize) -> Option<String> {
    ((1..=most).contains(&text.len()) && !text.chars().any(is_hidden)).then(|| text.to_owned())
}

fn subject(text: &str) -> Result<String, WordError> {
    const RULE: WordError = WordError::new("subject", "use 1 to 255 printable ASCII characters");
    let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    ((1..=255).contains(&text.len()) && printable && text.trim() == text).then(|| text.to_owned()).ok_or(RULE)
}

fn issuer(text: &str) -> Result<String, WordError> {
    const RULE: WordError = WordError::new("issuer", "use an http(s) URL of at most 512 printable ASCII characters");
    let scheme = text.starts_with("https://") || text.starts_with("http://");
    (scheme && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned()).ok_or(RULE)
}

fn email(text: &str) -> Result<String, WordError> {
    const RULE: WordError = WordError::new("e-mail address", "use name@domain in printable ASCII, at most 254 bytes");
    let (name, domain) = text.split_once('@').ok_or(RULE)?;
    let whole = !name.is_empty() && !domain.is_empty() && !domain.contains('@') && text.len() <= 254;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b",;<>()[]\"'\\".contains(&b));
    (whole && plain).then(|| text.to_owned()).ok_or(RULE)
}

fn policy_id(text: &str) -> Result<String, WordError> {
    id(text, b"._/-").ok_or(WordError::new("policy id", "use 1 to 64 letters, digits, '.', '_', '/' or '-'"))
}

fn ticket(text: &str) -> Result<String, WordError> {
    id(text, b"._#/-").ok_or(WordError::new("ticket", "use 1 to 64 letters, digits, '.', '_', '#', '/' or '-'"))
}

fn incident(text: &str) -> Result<String, WordError> {
    id(text, b"._#/-").ok_or(WordError::new("incident", "use 1 to 64 letters, digits, '.', '_', '#', '/' or '-'"))
}

fn id(text: &str, also: &[u8]) -> Option<String> {
    let allowed = text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b));
    ((1..=64).contains(&text.len()) && allowed).then(|| text.to_owned())
}

fn grant_id(text: &str) -> Result<String, WordError> {
    random_id(text, "g-").ok_or(WordError::new("grant id", "it reads g- and 24 hex digits"))
}

fn session_id(text: &str) -> Result<String, WordError> {
    random_id(text, "s-").ok_or(WordError::new("login session id", "it reads s- and 24 hex digits"))
}

fn request_id(text: &str) -> Result<String, WordError> {
    random_id(text, "r-").ok_or(WordError::new("request id", "it reads r- and 24 hex digits"))
}

fn freeze_id(text: &str) -> Result<String, WordError> {
    random_id(text, "f-").ok_or(WordError::new("freeze id", "it reads f- and 24 hex digits"))
}

fn random_id(text: &str, prefix: &str) -> Option<String> {
    let digits = text.strip_prefix(prefix)?;
    let hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (digits.len() == 24 && hex).then(|| text.to_owned())
}
