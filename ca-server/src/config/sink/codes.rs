//! Which entries a sink takes.

/// A code, or the beginning of codes and a star.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct CodePattern(String);

impl CodePattern {
    /// The one that takes every code.
    pub(super) fn all() -> Self {
        Self("*".to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it takes this code.
    pub fn takes(&self, code: &str) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == code, |beginning| code.starts_with(beginning))
    }
}

impl TryFrom<String> for CodePattern {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let beginning = text.strip_suffix('*').unwrap_or(&text);
        let letters = beginning.bytes().all(|byte| byte.is_ascii_lowercase() || b".-_".contains(&byte));
        let known = letters && !text.is_empty() && text.len() <= 60;
        if known { Ok(Self(text)) } else { Err("a code such as login.opened, or a beginning and a star: request.*") }
    }
}
