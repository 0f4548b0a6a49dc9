//! How an entry is written for a program. Always one line.

mod cef;
mod ocsf;

use super::letter::Letter;
use crate::config::sink::Format;

impl Format {
    /// The entry in this format.
    pub(super) fn render(self, letter: &Letter) -> String {
        match self {
            Self::Json => format!("{{\"index\":{},\"entry\":{}}}", letter.index, letter.json),
            Self::Ocsf => ocsf::render(letter),
            Self::Cef => cef::render(letter),
        }
    }

    /// The entry in this format, as a JSON value.
    pub(super) fn json(self, letter: &Letter) -> String {
        match self {
            Self::Json | Self::Ocsf => self.render(letter),
            Self::Cef => serde_json::Value::String(cef::render(letter)).to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
