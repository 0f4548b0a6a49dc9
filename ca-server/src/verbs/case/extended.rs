//! What prolongs a grant, for whoever looks at it.

use super::Case;
use api::Extension;
use policy::{Digest, Life, Now, Policies, Request, Seconds, Stage, Step, What};

impl Case {
    /// The requests that prolong it, as they stand beside it.
    pub(in crate::verbs) fn extended(&self, policies: &Policies, now: Now) -> Vec<Extension> {
        let alone = self.stage_alone(policies, now);
        let extension = |(request, digest, steps): &(Request, Digest, Vec<Step>)| {
            let life = Life { request, digest: *digest, steps, extensions: &[], joined: &self.joined };
            let stage = match policy::stage(policies, &life, now) {
                over @ Stage::Over { .. } => over,
                _ if matches!(alone, Stage::Over { .. }) => alone.clone(),
                stage => stage,
            };
            Extension { id: request.id.clone(), duration: left(request, digest, steps), stage }
        };
        self.extensions.iter().map(extension).collect()
    }
}

/// What approvals left of the duration that was asked for.
fn left(request: &Request, digest: &Digest, steps: &[Step]) -> Seconds {
    let said = |step: &Step| match &step.what {
        What::Approved(approval) if approval.digest == *digest => approval.duration,
        _ => None,
    };
    steps.iter().filter_map(said).fold(request.duration, Seconds::min)
}
