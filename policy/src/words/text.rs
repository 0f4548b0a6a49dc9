//! What all text words share: one error and one macro.

/// Why a text is not the word it was taken for. Safe to show: it names the word and the rule, never the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {word}: {rule}")]
pub struct WordError {
    /// The word that was expected, for example `host name`.
    pub word: &'static str,
    /// The rule that was broken, as a sentence for people.
    pub rule: &'static str,
}

impl WordError {
    pub(crate) const fn new(word: &'static str, rule: &'static str) -> Self {
        Self { word, rule }
    }
}

/// Declares a text newtype whose only way in is its check: `fn(&str) -> Result<String, WordError>`.
macro_rules! text_word {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, valid by construction.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::text::WordError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::words::text::WordError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_word;
