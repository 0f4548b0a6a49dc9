//! What prolongs a grant, for whoever looks at it.

use super::{Case, beside};
use api::Extension;
use policy::{Digest, Life, Now, Policies, Request, Step};

impl Case {
    /// The requests that prolong it, as they stand beside it.
    pub(in crate::verbs) fn extended(&self, policies: &Policies, now: Now) -> Vec<Extension> {
        let grant = self.stage_alone(policies, now);
        let extension = |(request, digest, steps): &(Request, Digest, Vec<Step>)| {
            let life = Life { request, digest: *digest, steps, extensions: &[], joined: &self.joined };
            let stage = beside(policy::stage(policies, &life, now), &grant);
            Extension { id: request.id.clone(), duration: life.duration(), stage }
        };
        self.extensions.iter().map(extension).collect()
    }
}
