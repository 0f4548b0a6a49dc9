//! What approvals left of what was asked for, and what was added to it since.

use super::stage;
use api::{Extension, RequestBody, StepBody};
use policy::{Seconds, Target, UnixTime};

/// How long it is, and of how long that is what was left.
pub(super) fn span(request: &RequestBody) -> String {
    let left = left(request);
    if left == request.duration { left.to_string() } else { format!("{left} of the {} asked for", request.duration) }
}

/// The shortest that anybody left it.
pub(super) fn left(request: &RequestBody) -> Seconds {
    approvals(request).filter_map(|step| step.duration).fold(request.duration, Seconds::min)
}

/// Whether an approval was for other hosts only.
pub(super) fn leaves_out(request: &RequestBody, target: &Target) -> bool {
    approvals(request).any(|step| !step.only.is_empty() && !step.only.contains(target.host()))
}

/// A request that prolongs it.
pub(super) fn extension(extension: &Extension, now: UnixTime) -> String {
    format!("by {} ({}): {}", extension.duration, extension.id, stage(&extension.stage, now))
}

fn approvals(request: &RequestBody) -> impl Iterator<Item = &StepBody> {
    request.steps.iter().filter(|step| step.what == "approved")
}
