//! What came before a request, and what comes after emergency access.

use super::{instant, row, stage};
use crate::clock;
use api::Before;
use policy::{Review, Target, UnixTime, Verdict};

/// How the review stands, in a few words.
pub fn review(review: &Review, now: UnixTime) -> String {
    match review {
        Review::Open { due } => format!("to be reviewed within {}", clock::left(now, *due)),
        Review::Overdue { due } => format!("review OVERDUE since {}", clock::rfc3339(*due)),
        Review::Done { verdict: Verdict::Fine, .. } => "reviewed: fine".to_owned(),
        Review::Done { verdict: Verdict::Concern, .. } => "reviewed: a concern".to_owned(),
    }
}

/// What this person asked for before, each in two rows.
pub(super) fn before(earlier: &[Before], now: UnixTime) -> Vec<String> {
    let told = |before: &Before| {
        let targets: Vec<String> = before.targets.iter().map(Target::to_string).collect();
        let emergency = before.incident.as_ref().map(|incident| format!(", break-glass for {incident}"));
        let used = match (before.used, before.last_expiry) {
            (Some(used), Some(last)) => {
                format!("first used {}, last certificate until {}", instant(used, now), clock::rfc3339(last))
            }
            (Some(used), None) => format!("first used {}", instant(used, now)),
            (None, _) => "never used".to_owned(),
        };
        [
            row(
                "before",
                format!("{}{}: {}", targets.join(" "), emergency.unwrap_or_default(), stage(&before.stage, now)),
            ),
            row("", format!("{used} ({})", before.id)),
        ]
    };
    earlier.iter().flat_map(told).collect()
}
