//! The people whom anybody may be here.

/// Somebody to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The login, also `sub`.
    pub login: String,
    /// The e-mail address, always verified.
    pub email: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Whether the token says that several factors were used.
    pub mfa: bool,
}

impl Person {
    /// Somebody with these groups.
    pub fn new(login: &str, groups: &[&str], mfa: bool) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self { login: login.to_owned(), email: format!("{login}@example.com"), groups, mfa }
    }

    /// alice, who may much, and bob, who may little.
    pub fn samples() -> Vec<Self> {
        vec![Self::new("alice", &["sre", "deployers"], true), Self::new("bob", &["dev"], false)]
    }
}
