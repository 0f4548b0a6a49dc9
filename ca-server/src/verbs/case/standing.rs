//! Who may know of a request, and as what.

use super::Case;
use crate::{refusal::Refusal, verbs::authenticate::Caller};
use api::Code;
use policy::{Identity, Now, Policies, Target, UnixTime};

/// What somebody is to a request: who is nothing to it learns nothing of it, not even that it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verbs) enum Standing {
    /// They asked for it.
    Requester,
    /// They may review it now, for these targets, or they did.
    Reviewer(Vec<Target>),
    /// Policy lets them read or operate everything; their reading is on record.
    Overseer,
}

impl Standing {
    /// What `caller` is to `case`; `not_found` if nothing.
    pub(in crate::verbs) fn of(policies: &Policies, caller: &Caller, case: &Case, now: Now) -> Result<Self, Refusal> {
        let identity = &caller.session.identity;
        if case.is_of(identity) {
            return Ok(Self::Requester);
        }
        match policy::may_review(policies, &case.request, identity, now) {
            Ok(targets) => return Ok(Self::Reviewer(targets)),
            Err(_) if case.was_reviewed_by(identity) => return Ok(Self::Reviewer(Vec::new())),
            Err(_) => {}
        }
        if oversees(policies, caller, now) {
            return Ok(Self::Overseer);
        }
        Err(better_login(policies, identity, case, now).unwrap_or_else(not_found))
    }
}

/// Why `identity` may not review what another login of theirs might: they are told, for nobody else can be.
fn better_login(policies: &Policies, identity: &Identity, case: &Case, now: Now) -> Option<Refusal> {
    let may = |mfa: bool, auth_time: Option<UnixTime>| {
        let login = Identity { mfa, auth_time, ..identity.clone() };
        policy::may_review(policies, &case.request, &login, now).is_ok()
    };
    let fresh = Some(now.time);
    let (lacks, next) = if !identity.mfa && may(true, identity.auth_time) {
        ("with more than one factor", "with the second factor that your provider asks for")
    } else if may(identity.mfa, fresh) {
        ("lately", "once more, at the provider too")
    } else if may(true, fresh) {
        ("lately, with more than one factor", "once more, with the second factor that your provider asks for")
    } else {
        return None;
    };
    let message = format!("policy lets you review this request only if you logged in {lacks}");
    Some(Refusal::new(Code::Denied, message).hint(format!("log in {next}: jit-ssh login")))
}

/// Whether policy lets `caller` see every request.
pub(in crate::verbs) fn oversees(policies: &Policies, caller: &Caller, now: Now) -> bool {
    let (identity, source) = (&caller.session.identity, caller.origin.source);
    policy::audits(policies, identity, source, now) || policy::administers(policies, identity, source, now)
}

/// The one answer for what is not there and for what is none of the caller's business.
pub(in crate::verbs) fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such request, or it is not yours to see")
        .hint("`jit-ssh requests` lists those that are")
}
