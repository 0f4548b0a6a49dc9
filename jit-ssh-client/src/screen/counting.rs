//! What of the approvals counts, and why one does not: by the server's own count, which is all that is known here.

use crate::terminal;
use api::RequestBody;
use policy::{Need, Stage};

/// That approvals are on record which do not count towards `need`, and what that may come of.
pub(super) fn uncounted(request: &RequestBody, need: &Need) -> Option<String> {
    let approved = || request.steps.iter().filter(|step| step.what == "approved");
    let mut by: Vec<&str> = approved().map(|step| step.by.as_str()).collect();
    by.sort_unstable();
    by.dedup();
    if by.len() <= usize::from(need.have) {
        return None;
    }
    let mut why = vec!["one person approved by two accounts", "whoever approved is no longer in a group that may"];
    if need.turn.is_some() {
        why.insert(0, "it was not their turn");
    }
    if approved().any(|step| !step.only.is_empty()) {
        why.push("it was for other hosts");
    }
    let by = terminal::plain(&by.join(", ")).into_owned();
    let counts = match need.have {
        0 => format!("what {by} approved does not count now"),
        some => format!("of what {by} approved only {some} count{} now", if some == 1 { "s" } else { "" }),
    };
    Some(format!("{counts}: {}", why.join(", or ")))
}

/// Why an approval, which made `after` of `before`, brings nobody in yet; none where it does all that one approval can.
pub fn not_yet(before: &RequestBody, after: &RequestBody) -> Option<String> {
    let (Stage::Pending { needs: was, .. }, Stage::Pending { needs, .. }) = (&before.stage, &after.stage) else {
        return None;
    };
    let still = needs.first()?;
    let moved = |need: &Need| was.iter().any(|was| was.target == need.target && was.have < need.have);
    if was.len() > needs.len() || needs.iter().any(moved) {
        let groups = needs.iter().find(|need| need.have >= need.approvals && need.turn.is_none())?;
        let from = terminal::plain(&groups.approver_groups.join(", ")).into_owned();
        return Some(format!(
            "it takes approvals from {} groups, and yours is not from another one; somebody of another must approve too: {from}",
            groups.from_groups
        ));
    }
    Some(match &still.turn {
        _ if after.version == before.version => "you approved it before".to_owned(),
        Some(turn) => {
            let turn = terminal::plain(turn.as_str()).into_owned();
            format!("it is the turn of {turn}; approve again once they have")
        }
        None => "one person counts once, by whichever account".to_owned(),
    })
}
