//! Policies by what their scope names, so that a decision looks at the few that can match and not at all.
//!
//! A policy whose scope names an entity can only match callers (or targets) that are it or are in it. So each policy
//! lies in one bucket, under the entity its principal names and the entity its resource names, and the buckets of the
//! caller, the caller's groups, the target, its host and its groups hold every policy that could match. The union of
//! what the buckets say is what the whole set would say: a policy outside them is not satisfied and, because Cedar's
//! `&&` stops at a false scope, cannot fail either.

use super::rule::Rule;
use cedar_policy::{EntityUid, PolicySet, PolicySetError};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Index {
    unscoped: ByResource,
    by_principal: HashMap<EntityUid, ByResource>,
}

#[derive(Debug, Default)]
struct ByResource {
    unscoped: Option<PolicySet>,
    by_resource: HashMap<EntityUid, PolicySet>,
}

impl Index {
    pub(super) fn of(rules: &[Rule]) -> Result<Self, Box<PolicySetError>> {
        let mut index = Self::default();
        for rule in rules {
            let row = match &rule.principal.within {
                Some(named) => index.by_principal.entry(named.clone()).or_default(),
                None => &mut index.unscoped,
            };
            let bucket = match &rule.resource.within {
                Some(named) => row.by_resource.entry(named.clone()).or_default(),
                None => row.unscoped.get_or_insert_default(),
            };
            bucket.add(rule.cedar.clone())?;
        }
        Ok(index)
    }

    /// The buckets that could match a principal that is or is in one of `principals` and a resource likewise.
    pub(super) fn buckets<'a>(
        &'a self,
        principals: &'a [EntityUid],
        resources: &'a [EntityUid],
    ) -> impl Iterator<Item = &'a PolicySet> {
        let named = principals.iter().filter_map(|one| self.by_principal.get(one));
        std::iter::once(&self.unscoped)
            .chain(named)
            .flat_map(|row| row.unscoped.iter().chain(resources.iter().filter_map(|one| row.by_resource.get(one))))
    }
}
