//! What people said of a request: the part of its life that no policy can change any more. A no stays, even a partial
//! one, whatever becomes of who said it; a yes must hold, and is judged in [`super::quorum`].

use super::people;
use crate::{
    Approval, Digest, EndReason, HostName, Identity, Kind, Over, Request, Seconds, Step, Target, UnixTime, What,
};

pub(crate) struct Said<'a> {
    /// Ended by somebody's word.
    pub(crate) over: Option<Over>,
    /// When its first certificate was recorded.
    pub(crate) claimed: Option<UnixTime>,
    /// The shortest duration that anybody left it.
    pub(crate) duration: Seconds,
    /// Approvals that may count, in order.
    pub(super) approvals: Vec<Voice<'a>>,
    /// For each approval that names hosts, those.
    only: Vec<&'a [HostName]>,
}

/// An approval, and the person whose it is.
pub(super) struct Voice<'a> {
    pub(super) at: UnixTime,
    pub(super) by: &'a Identity,
    pub(super) person: usize,
}

impl<'a> Said<'a> {
    pub(super) fn of(request: &'a Request, asker: &'a Identity, digest: Digest, steps: &'a [Step]) -> Self {
        let everybody: Vec<&Identity> =
            [&request.requester, asker].into_iter().chain(steps.iter().map(|step| &step.by)).collect();
        let numbers = people::numbered(&everybody);
        let requester = numbers.iter().take(2).copied().collect::<Vec<_>>();
        let sponsors: Vec<usize> = everybody
            .iter()
            .zip(&numbers)
            .filter(|(who, _)| people::sponsors(who, &request.requester) || people::sponsors(who, asker))
            .map(|(_, number)| *number)
            .collect();
        let mut said =
            Self { over: None, claimed: None, duration: request.duration, approvals: Vec::new(), only: Vec::new() };
        for (step, &person) in steps.iter().zip(numbers.iter().skip(2)) {
            let own = requester.contains(&person);
            match &step.what {
                What::Approved(approval) => {
                    if approval.digest != digest {
                        continue;
                    }
                    // Too late, or by whom it must not be, is no yes; but it stays a no to the rest, whoever turns out to have
                    // said it: or the requester could unsay it by becoming one with them.
                    said.narrowed(approval);
                    let machine = step.by.kind != Kind::User;
                    if !own && !machine && !sponsors.contains(&person) && step.at < request.expires {
                        said.approvals.push(Voice { at: step.at, by: &step.by, person });
                    }
                }
                What::Denied { .. } => said.ended(Over::Denied),
                What::Cancelled => said.ended(Over::Cancelled),
                What::Ended { why: EndReason::Done, .. } => said.ended(Over::Done),
                What::Ended { why: EndReason::Revoked, .. } => said.ended(Over::Revoked),
                What::Reviewed { .. } => {}
                What::Claimed => said.claimed = said.claimed.or(Some(step.at)),
            }
        }
        said
    }

    /// Whether an approval left this target out, or no time for any.
    pub(super) fn dropped(&self, target: &Target) -> bool {
        self.duration == Seconds::new(0) || self.only.iter().any(|hosts| !hosts.contains(target.host()))
    }

    fn narrowed(&mut self, approval: &'a Approval) {
        self.duration = approval.duration.map_or(self.duration, |span| span.min(self.duration));
        if !approval.only.is_empty() {
            self.only.push(&approval.only);
        }
    }

    /// The first end is the one that is told.
    fn ended(&mut self, how: Over) {
        self.over = self.over.or(Some(how));
    }
}
