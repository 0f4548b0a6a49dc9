//! A request with everything that is known of it today: what happened to it, who its reviewers are by now, and what
//! prolongs it. Facts alone; where it stands is computed from them each time.

mod extended;
mod standing;

pub(super) use standing::{Standing, not_found, oversees};

use super::cases;
use crate::{
    app::App,
    clock,
    refusal::Refusal,
    store::{Claim, KeptRequest},
};
use policy::{
    Digest, Group, Identity, Joined, Life, Now, Policies, Request, RequestId, Review, Stage, Step, Target, Terms,
    UnixTime, What,
};

/// After every filing.
const NEVER: UnixTime = UnixTime::from_secs(u64::MAX);

/// A request and its facts.
pub(super) struct Case {
    /// The request; its requester, by every address that they are known by today.
    pub(super) request: Request,
    /// Who asked, as it was filed.
    asker: Identity,
    /// Its digest, as it was filed.
    pub(super) digest: Digest,
    /// What happened to it; whoever approved, as they are by now.
    pub(super) steps: Vec<Step>,
    /// Requests that prolong it, likewise.
    extensions: Vec<(Request, Digest, Vec<Step>)>,
    /// What it prolongs.
    prolonged: Option<Box<Self>>,
    /// Since when whoever approved is in their groups.
    pub(super) joined: Vec<Joined>,
}

impl Case {
    /// The case of `id`, if there is one.
    pub(super) async fn load(app: &App, id: &RequestId) -> Result<Option<Self>, Refusal> {
        match app.store.request(id).await? {
            Some(kept) => Self::of(app, kept).await.map(Some),
            None => Ok(None),
        }
    }

    /// The case of a request that was just read.
    pub(super) async fn of(app: &App, kept: KeptRequest) -> Result<Self, Refusal> {
        let prolonged = match &kept.request.extends {
            Some(id) => app.store.request(id).await?,
            None => None,
        };
        let mut case = Self::alone(app, kept).await?;
        if let Some(prolonged) = prolonged {
            case.prolonged = Some(Box::new(Self::alone(app, prolonged).await?));
        }
        Ok(case)
    }

    /// Without what it prolongs.
    async fn alone(app: &App, kept: KeptRequest) -> Result<Self, Refusal> {
        let Identity { issuer, subject, .. } = &kept.request.requester;
        let (extensions, latest) =
            tokio::try_join!(app.store.extensions_of(&kept.request.id), app.store.latest_identity(issuer, subject))?;
        let mut case = Self::filed(kept.request)?;
        if let Some(latest) = &latest {
            case.request.requester.remember(latest);
        }
        case.steps = today(app, kept.steps, &mut case.joined).await?;
        for KeptRequest { mut request, steps } in extensions {
            let digest = digest(&request)?;
            // By the same account: whoever prolongs a grant is its holder.
            if let Some(latest) = &latest {
                request.requester.remember(latest);
            }
            case.extensions.push((request, digest, today(app, steps, &mut case.joined).await?));
        }
        Ok(case)
    }

    /// The case of a request to which nothing has happened.
    pub(super) fn filed(request: Request) -> Result<Self, Refusal> {
        let (steps, extensions, prolonged, joined) = (Vec::new(), Vec::new(), None, Vec::new());
        let (digest, asker) = (digest(&request)?, request.requester.clone());
        Ok(Self { request, asker, digest, steps, extensions, prolonged, joined })
    }

    /// What policy judges.
    pub(super) fn life(&self) -> Life<'_> {
        let Self { request, digest, steps, extensions, joined, .. } = self;
        Life { request, digest: *digest, steps, extensions, joined }
    }

    /// Where it stands. What prolongs a grant is over when that is.
    pub(super) fn stage(&self, policies: &Policies, now: Now) -> Stage {
        let stage = self.stage_alone(policies, now);
        match &self.prolonged {
            Some(grant) => beside(stage, &grant.stage_alone(policies, now)),
            None => stage,
        }
    }

    /// Where it stands by itself, whatever became of what it prolongs.
    pub(super) fn stage_alone(&self, policies: &Policies, now: Now) -> Stage {
        policy::stage(policies, &self.life(), now)
    }

    /// About how many KiB it takes.
    pub(super) fn weight(&self) -> usize {
        let prolonging: usize =
            self.extensions.iter().map(|(request, _, steps)| cases::weight_of(request, steps)).sum();
        let prolonged = self.prolonged.as_ref().map_or(0, |case| case.weight());
        cases::weight_of(&self.request, &self.steps) + prolonging + prolonged + self.joined.len() / 4
    }

    /// The requests that prolong it.
    pub(super) fn prolonged_by(&self) -> impl Iterator<Item = &RequestId> {
        self.extensions.iter().map(|(request, ..)| &request.id)
    }

    /// Whether `identity` asked for it.
    pub(super) fn is_of(&self, identity: &Identity) -> bool {
        let requester = &self.request.requester;
        (&requester.issuer, &requester.subject) == (&identity.issuer, &identity.subject)
    }

    /// Whether `identity` approved, denied or reviewed it.
    pub(super) fn was_reviewed_by(&self, identity: &Identity) -> bool {
        let reviews =
            |step: &&Step| matches!(step.what, What::Approved(_) | What::Denied { .. } | What::Reviewed { .. });
        self.steps.iter().filter(reviews).any(|step| same(&step.by, identity))
    }

    /// Whether `identity` approved it.
    pub(super) fn was_approved_by(&self, identity: &Identity) -> bool {
        self.steps.iter().any(|step| matches!(step.what, What::Approved(_)) && same(&step.by, identity))
    }

    /// How the review of it stands, if it is emergency access.
    pub(super) fn reviewed(&self, now: Now) -> Option<Review> {
        self.request.break_glass.as_ref()?;
        // What was learnt since takes nothing back: it is no longer on the list of those that wait.
        let filed = Request { requester: self.asker.clone(), ..self.request.clone() };
        policy::reviewed(&filed, &self.steps, now.time)
    }

    /// Whether a review by `identity`, who may give one, would count by all that is known today.
    pub(super) fn is_reviewed_by(&self, identity: &Identity, what: &What, now: Now) -> bool {
        let mut steps = self.steps.clone();
        steps.push(Step { at: now.time, by: identity.clone(), what: what.clone() });
        matches!(policy::reviewed(&self.request, &steps, now.time), Some(Review::Done { .. }))
    }

    /// The channels that policy wants told of it: `@notify` of what grants each target, as of when it was filed.
    pub(super) fn channels(&self, app: &App, policies: &Policies) -> Vec<String> {
        let request = &self.request;
        let now = clock::moment(request.filed, &app.zone);
        let mut channels: Vec<String> = Vec::new();
        for target in &request.targets {
            let terms = offers(policies, request, target, now).into_iter().next();
            channels.extend(terms.into_iter().flat_map(|terms| terms.notify));
        }
        channels.sort_unstable();
        channels.dedup();
        channels
    }

    /// The step that ended it for good, if one did.
    pub(super) fn ending(&self) -> Option<&Step> {
        ending(&self.steps)
    }

    /// What to pin when a certificate is recorded under it, as it was decided here.
    pub(super) fn claim(&self, step: Option<(Step, crate::audit::Entry)>, expires: UnixTime) -> Claim {
        Claim {
            request: self.request.id.clone(),
            seen: self.steps.len(),
            step,
            expires,
            extensions: self.extensions.iter().map(|(request, _, steps)| (request.id.clone(), steps.len())).collect(),
        }
    }

    /// Where a step that is taken now stands.
    pub(super) fn taken(&self, now: Now) -> crate::audit::Taken {
        crate::audit::Taken { step: self.steps.len(), decided: now }
    }
}

/// Where something stands that would be at `stage` by itself, and prolongs a grant.
fn beside(stage: Stage, grant: &Stage) -> Stage {
    match (&stage, grant) {
        (Stage::Over { .. }, _) => stage,
        (_, over @ Stage::Over { .. }) => over.clone(),
        _ => stage,
    }
}

/// The permits that would do for one target of a request, the one that is taken first, of those that its requester left.
pub(super) fn offers(policies: &Policies, request: &Request, target: &Target, now: Now) -> Vec<Terms> {
    let ask = policy::asked(request, target, now);
    let mut offers = match request.break_glass {
        Some(_) => policy::break_glass_offers(policies, &ask, now),
        None => policy::offers(policies, &ask, now),
    };
    offers.retain(|terms| request.under.as_ref().is_none_or(|under| terms.policy == *under));
    offers
}

/// The step that ended a request for good, if one did.
pub(super) fn ending(steps: &[Step]) -> Option<&Step> {
    let ends = |step: &&Step| matches!(step.what, What::Denied { .. } | What::Cancelled | What::Ended { .. });
    steps.iter().find(ends)
}

/// Whether both are one account.
pub(super) fn same(one: &Identity, other: &Identity) -> bool {
    (&one.issuer, &one.subject) == (&other.issuer, &other.subject)
}

/// Steps with whoever approved as they were last learnt to be: who lost a group since counts no longer. Since when they are
/// in their groups is added to `known`.
async fn today(app: &App, mut steps: Vec<Step>, known: &mut Vec<Joined>) -> Result<Vec<Step>, Refusal> {
    for step in steps.iter_mut().filter(|step| matches!(step.what, What::Approved(_))) {
        if let Some(latest) = app.store.latest_identity(&step.by.issuer, &step.by.subject).await? {
            step.learn(&latest);
        }
        known.extend(joined(app, &step.by).await?);
    }
    Ok(steps)
}

/// Since when `who` is known to be in each of their groups. What is not known has only begun.
pub(super) async fn joined(app: &App, who: &Identity) -> Result<Vec<Joined>, Refusal> {
    let known = app.store.groups_since(&who.issuer, &who.subject).await?;
    let since = |group: &Group| known.iter().find(|(name, _)| name == group).map_or(NEVER, |(_, since)| *since);
    let row = |group: &Group| Joined {
        issuer: who.issuer.clone(),
        subject: who.subject.clone(),
        group: group.clone(),
        since: since(group),
    };
    Ok(who.groups.iter().map(row).collect())
}

fn digest(request: &Request) -> Result<Digest, Refusal> {
    Ok(api::digest::of_request(&serde_json::to_vec(request).map_err(Refusal::internal)?))
}

/// A digest in hex.
pub(super) fn hex(digest: &Digest) -> String {
    api::digest::hex(&digest.0)
}
