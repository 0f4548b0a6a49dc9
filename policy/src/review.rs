//! Who may review whose request. Policy says who may approve what; that nobody approves their own is not for it to say.

use crate::{Identity, Now, Policies, Request, Target};

/// Why somebody may not review a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MayNot {
    /// It is their own, by this account or by another with the same verified e-mail address.
    #[error("nobody reviews their own request")]
    Own,
    /// It is a workload's whose sponsor they are.
    #[error("nobody reviews a request of a workload they sponsor")]
    Sponsor,
    /// They are a machine.
    #[error("only people review requests")]
    Machine,
    /// No policy lets them approve any of its targets.
    #[error("no policy lets you approve any target of this request")]
    NoPolicy,
}

/// Which targets of `request` `reviewer` may approve. Who may approve any may deny all.
///
/// # Errors
/// If there is none, why.
pub fn may_review(
    policies: &Policies,
    request: &Request,
    reviewer: &Identity,
    now: Now,
) -> Result<Vec<Target>, MayNot> {
    let _ = (policies, request, reviewer, now);
    Err(MayNot::NoPolicy)
}
