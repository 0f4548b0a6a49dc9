//! Values of the configuration, each valid by construction.

use crate::custody::read_passphrase;
use policy::{Seconds, WordError};
use std::{fmt, io, path::Path};
use zeroize::Zeroizing;

/// The server's public URL without a trailing slash: its name in every signature.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Audience(String);

impl Audience {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host's name alone.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        match rest.split_once(']') {
            Some((address, _)) => address.trim_start_matches('['),
            None => rest.split(':').next().unwrap_or(rest),
        }
    }
}

impl TryFrom<String> for Audience {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let url = url::Url::parse(&text).map_err(|error| format!("the audience is not a URL: {error}"))?;
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let scheme = url.scheme() == "https" || url.scheme() == "http" && loopback;
        // What the parser would write, less its slash: one server has one name, byte for byte.
        let canonical = url.as_str().strip_suffix('/') == Some(text.as_str());
        if scheme && canonical && text.is_ascii() && url.username().is_empty() && url.password().is_none() {
            return Ok(Self(text));
        }
        Err("the audience is the server's public URL as clients type it, such as https://ssh-ca.example.com: https, \
             lower case, no path, no trailing slash (http only for loopback)"
            .to_owned())
    }
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// The zone.
    pub fn get(&self) -> jiff::tz::TimeZone {
        self.0.clone()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let zone = jiff::tz::TimeZone::get(&text);
        zone.map(Self).map_err(|_unknown| "no such time zone: use an IANA name such as Europe/Berlin or UTC".to_owned())
    }
}

/// A number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "u32")]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// `number`, moved into the range.
    pub const fn new(number: u32) -> Self {
        Self(if number < MIN {
            MIN
        } else if number > MAX {
            MAX
        } else {
            number
        })
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<u32> for Count<MIN, MAX> {
    type Error = String;
    fn try_from(number: u32) -> Result<Self, String> {
        (MIN..=MAX).contains(&number).then_some(Self(number)).ok_or(format!("must be a number from {MIN} to {MAX}"))
    }
}

/// A span from `MIN` to `MAX` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Span<const MIN: u32, const MAX: u32>(Seconds);

impl<const MIN: u32, const MAX: u32> Span<MIN, MAX> {
    /// `span`, moved into the range.
    pub fn new(span: Seconds) -> Self {
        Self(span.clamp(Seconds::new(MIN), Seconds::new(MAX)))
    }

    /// The span.
    pub const fn get(self) -> Seconds {
        self.0
    }

    /// The span, for a timer.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0.as_secs())
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<String> for Span<MIN, MAX> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let span: Seconds = text.parse().map_err(|error: WordError| error.to_string())?;
        let (min, max) = (Seconds::new(MIN), Seconds::new(MAX));
        (min..=max).contains(&span).then_some(Self(span)).ok_or(format!("must be from {min} to {max}"))
    }
}

/// A passphrase. It is wiped when dropped and never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// This text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The first line of `file`.
    ///
    /// # Errors
    /// If it cannot be read or is empty, or if others can read it or put another in its place, as with the keys.
    pub fn read(file: &Path) -> io::Result<Self> {
        let bytes = read_passphrase(file).map_err(io::Error::other)?;
        let text = std::str::from_utf8(&bytes).map_err(|_binary| io::Error::other("it is not text (UTF-8)"))?;
        let first = text.lines().next().unwrap_or_default();
        if first.is_empty() {
            return Err(io::Error::other("its first line is empty"));
        }
        Ok(Self::new(first.to_owned()))
    }

    /// The text, for the one call that opens a key.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
