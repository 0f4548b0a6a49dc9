//! How loud an entry is, said in the entry itself: every sink maps the same word.

use super::{Event, Glass};
use policy::{EndReason, Verdict};

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

impl Severity {
    /// What the entry about `event` says; none where it says nothing, which readers take for [`Self::Info`] unless the code
    /// tells more.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Glass(Glass::Reviewed { verdict: Verdict::Fine, .. }) => Self::Info,
            Event::Glass(_) => Self::High,
            Event::LoginRefused { .. }
            | Event::DecisionRefused { .. }
            | Event::DecisionLimited { .. }
            | Event::KeyRefused { .. }
            | Event::RequestRefused { .. }
            | Event::RequestDenied { .. }
            | Event::GrantEnded { why: EndReason::Revoked, .. } => Self::Warning,
            _ => return None,
        })
    }
}
