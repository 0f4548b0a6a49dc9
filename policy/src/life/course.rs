//! A request's life as it looks from one moment, with one policy set: each target by itself.

use super::{people, quorum::Quorum, said::Said};
use crate::{
    Ask, Denied, Digest, Group, Identity, Life, Now, Policies, Request, Seconds, Step, Target, Terms, UnixTime,
    decision::{Offered, approvers, offered},
    engine::{facts::Facts, names::Action},
    review,
};
use std::{collections::BTreeSet, net::IpAddr};

pub(crate) struct Course<'a> {
    policies: &'a Policies,
    pub(crate) life: &'a Life<'a>,
    pub(crate) said: Said<'a>,
    asker: &'a Identity,
    source: IpAddr,
    pub(crate) now: Now,
    /// When the access would be used: not before the start that was asked for.
    moment: Now,
}

/// How far one target has come.
pub(crate) enum Standing<'a> {
    /// Policy says no, whoever approves.
    No(Denied),
    /// An approval left it out.
    Dropped,
    /// More people must approve.
    Waiting { offered: Offered<'a>, have: u8, turn: Option<Group> },
    /// Its quorum is full.
    Full { offered: Offered<'a>, at: UnixTime },
}

impl Standing<'_> {
    pub(super) fn full(&self) -> Option<(UnixTime, &Terms)> {
        match self {
            Self::Full { offered, at } => Some((*at, offered.terms)),
            _ => None,
        }
    }
}

impl<'a> Course<'a> {
    pub(crate) fn new(
        policies: &'a Policies,
        life: &'a Life<'a>,
        asker: &'a Identity,
        source: IpAddr,
        now: Now,
    ) -> Self {
        let said = Said::of(life.request, asker, life.digest, life.steps);
        let moment = match life.request.start {
            Some(start) if start > now.time && said.claimed.is_none() => now.at(start),
            _ => now,
        };
        Self { policies, life, said, asker, source, now, moment }
    }

    pub(super) fn standings(&self) -> impl Iterator<Item = (&'a Target, Standing<'a>)> {
        self.life.request.targets.iter().map(|target| (target, self.standing(target)))
    }

    pub(crate) fn standing(&self, target: &Target) -> Standing<'a> {
        self.judge(self.life.request, &self.said, target, None)
    }

    /// Whether an approval given now could still count.
    pub(crate) fn may_still_be_approved(&self) -> bool {
        self.now.time < self.life.request.expires
    }

    /// When access to `target` ends that began at `since`, extensions included.
    ///
    /// An extension counts if its quorum was full before the end it moves, and under the permit that grants. It never
    /// moves the end further than a new request would that was approved at the same moment and used at once.
    pub(crate) fn end(&self, target: &Target, terms: &Terms, since: UnixTime) -> UnixTime {
        let mut seen = BTreeSet::new();
        let all = self.life.extensions.iter().filter(|(request, ..)| seen.insert(&request.id));
        let full = |(request, digest, steps): &'a (Request, Digest, Vec<Step>)| {
            self.extension(request, *digest, steps, target, terms)
        };
        let mut extensions: Vec<(UnixTime, Seconds)> = all.filter_map(full).collect();
        extensions.sort_unstable();
        extensions.into_iter().fold(since.plus(self.said.duration), |end, (full, span)| {
            if full < end { end.max(end.plus(span).min(full.plus(terms.max_duration))) } else { end }
        })
    }

    pub(super) fn approver_groups(&self, target: &Target) -> Vec<String> {
        let ask = Ask::of(self.life.request, target, self.asker, self.source);
        let Some((host, _)) = crate::decision::resolve(self.policies, target) else { return Vec::new() };
        approvers::groups(self.policies, &Facts { who: self.asker, ask: &ask, host, now: self.now, also_in: None })
    }

    /// When an extension's quorum was full, and how much it adds to `target`.
    fn extension(
        &self,
        request: &'a Request,
        digest: Digest,
        steps: &'a [Step],
        target: &Target,
        terms: &Terms,
    ) -> Option<(UnixTime, Seconds)> {
        let base = self.life.request;
        let fits = request.extends.as_ref() == Some(&base.id)
            && people::same_account(&request.requester, &base.requester)
            && request.targets.iter().all(|target| base.targets.contains(target))
            && request.targets.contains(target)
            && request.under.as_ref().is_none_or(|policy| *policy == terms.policy)
            && request.start.is_none()
            && (&request.break_glass, &base.break_glass) == (&None, &None);
        let said = Said::of(request, self.asker, digest, steps);
        if !fits || said.over.is_some() {
            return None;
        }
        match self.judge(request, &said, target, Some(terms)) {
            Standing::Full { at, .. } => Some((at, said.duration)),
            _ => None,
        }
    }

    fn judge(&self, request: &'a Request, said: &Said<'a>, target: &Target, under: Option<&Terms>) -> Standing<'a> {
        if said.dropped(target) {
            return Standing::Dropped;
        }
        let ask = Ask::of(request, target, self.asker, self.source);
        let under = under.map(|terms| &terms.policy).or(request.under.as_ref());
        let action = if request.break_glass.is_some() { Action::BreakGlass } else { Action::Connect };
        let picked = match offered(self.policies, &ask, action, self.moment) {
            Ok(offered) => match under {
                Some(policy) => offered.under(policy).ok_or_else(Denied::no_permit),
                None => Ok(offered),
            },
            Err(denied) => Err(denied),
        };
        let offered = match picked {
            Ok(offered) => offered,
            Err(denied) => return Standing::No(denied),
        };
        // As reviewers saw it: from where it was asked for, not from where it is used.
        let ask = Ask { source: request.source, ..ask };
        let quorum = Quorum::count(offered.terms, request.filed, &said.approvals, |voice, turn| {
            let late = people::late(voice.by, self.life.joined, request.filed);
            let waits = turn.is_some_and(|turn| late.contains(turn) || !voice.by.groups.contains(turn));
            let entitled =
                || review::entitled(self.policies, &ask, offered.host, voice.by, &late, self.now.at(voice.at));
            if waits { None } else { entitled() }
        });
        match quorum.full {
            Some(at) => Standing::Full { offered, at },
            None => Standing::Waiting { offered, have: quorum.have, turn: quorum.turn },
        }
    }
}
