//! How loud an entry is, said in the entry itself: every sink maps the same word.

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// What happens every day.
    Info,
    /// Somebody should see it some time.
    Warning,
    /// Somebody should see it now.
    High,
}
