//! What a question to the engine is made of: who, what, where and when, as far as the policies can tell a difference.

use super::{
    named::Named,
    names::{self, Action, Duty},
    question::{Fact, Question, Thing, Untellable},
};
use crate::{Ask, Host, Identity, Kind, Now, Reason, Seconds, Ticket};
use cedar_policy::EntityUid;
use std::net::IpAddr;

/// What a [`Question`] is made of. Of [`Ask::target`] it takes the account; the host is [`Self::host`].
pub(crate) struct Facts<'a> {
    /// Whom the question is about: who asks, or who is to approve what `ask` asks for.
    pub(crate) who: &'a Identity,
    pub(crate) ask: &'a Ask,
    pub(crate) host: &'a Host,
    pub(crate) now: Now,
    /// Whether the caller is assumed to be in this group too: for "what would have to change".
    pub(crate) also_in: Option<&'a EntityUid>,
}

/// An authentication nobody knows the time of is never fresh; small enough that adding to it does not overflow.
const NEVER: i64 = i64::MAX / 4;

/// How far ahead of ours an issuer's clock may be before its `auth_time` is taken for nonsense.
const SKEW: Seconds = Seconds::new(60);

impl Question {
    /// The question in so far as policies that name what `named` holds can tell a difference.
    pub(crate) fn new(facts: &Facts<'_>, action: Action, named: &Named) -> Result<Self, Untellable> {
        let Facts { who, ask, host, also_in, .. } = facts;
        let me = names::principal(who).ok_or(Untellable)?;
        let mut principals: Vec<EntityUid> = named_groups(who, named).cloned().collect();
        principals.extend(also_in.iter().map(|&uid| uid.clone()));
        principals.sort_unstable();
        principals.dedup();
        let account = names::account(ask.target.account(), host.name()).ok_or(Untellable)?;
        // Ancestors are written out: the account is in everything its host is in, so hosts need no entities.
        let mut resources = vec![names::host(host.name()).ok_or(Untellable)?];
        for group in host.groups() {
            resources.push(names::host_group(group.as_str()).ok_or(Untellable)?);
        }
        let mut entities = vec![person(who, me.clone(), &principals, named)];
        let mut attributes = Attributes::new(named);
        attributes.text("name", ask.target.account().as_str());
        attributes.text("host", host.name().as_str());
        entities.push(attributes.of(account.clone(), &resources, labels(host, named)));
        resources.push(account.clone());
        let resource = match action {
            Action::Connect | Action::BreakGlass => account,
            Action::Approve => {
                let this = names::request().ok_or(Untellable)?;
                entities.extend(request(facts, this.clone(), &me, &resources, named)?);
                resources.push(this.clone());
                this
            }
        };
        principals.push(me.clone());
        let action = names::action(action).ok_or(Untellable)?;
        let circumstances = Circumstances {
            who,
            now: facts.now,
            source: ask.source,
            duration: duration(ask),
            reason: ask.reason.as_ref(),
            ticket: ask.ticket.as_ref(),
        };
        let context = context(&circumstances, named);
        Ok(Self { principal: me, action, resource, context, entities, principals, resources })
    }

    /// The question whether `who`, coming from `source`, has this duty.
    pub(crate) fn of_duty(
        duty: Duty,
        who: &Identity,
        source: IpAddr,
        now: Now,
        named: &Named,
    ) -> Result<Self, Untellable> {
        let me = names::principal(who).ok_or(Untellable)?;
        let (action, service) = names::duty(duty).ok_or(Untellable)?;
        let mut principals: Vec<EntityUid> = named_groups(who, named).cloned().collect();
        let entities = vec![
            person(who, me.clone(), &principals, named),
            Attributes::new(named).of(service.clone(), &[], std::iter::empty()),
        ];
        let circumstances = Circumstances { who, now, source, duration: Seconds::MAX, reason: None, ticket: None };
        let (context, resource) = (context(&circumstances, named), service.clone());
        principals.push(me.clone());
        Ok(Self { principal: me, action, resource, context, entities, principals, resources: vec![service] })
    }
}

/// The request that is to be approved, and whoever asks for it unless that is `me`.
fn request(
    facts: &Facts<'_>,
    this: EntityUid,
    me: &EntityUid,
    parents: &[EntityUid],
    named: &Named,
) -> Result<Vec<Thing>, Untellable> {
    let asker = names::principal(&facts.ask.identity).ok_or(Untellable)?;
    let mut attributes = Attributes::new(named);
    attributes.text("account", facts.ask.target.account().as_str());
    attributes.text("host", facts.host.name().as_str());
    attributes.put("duration", || Fact::Number(long(duration(facts.ask).as_secs())));
    let role = if facts.ask.identity.kind == Kind::User { "requester" } else { "workload" };
    attributes.put(role, || Fact::Entity(asker.clone()));
    let mut entities = vec![attributes.of(this, parents, labels(facts.host, named))];
    if asker != *me {
        let groups: Vec<EntityUid> = named_groups(&facts.ask.identity, named).cloned().collect();
        entities.push(person(&facts.ask.identity, asker, &groups, named));
    }
    Ok(entities)
}

fn person(identity: &Identity, me: EntityUid, groups: &[EntityUid], named: &Named) -> Thing {
    let mut attributes = Attributes::new(named);
    attributes.text("issuer", identity.issuer.as_str());
    attributes.text("subject", identity.subject.as_str());
    attributes.text("name", identity.name());
    attributes.text("kind", if identity.kind == Kind::User { "user" } else { "workload" });
    if let Some(email) = &identity.email {
        attributes.text("email", email.as_str());
    }
    let claims = identity.claims.iter().filter(|_| named.tags());
    attributes.of(me, groups, claims.map(|(name, value)| (name.as_str(), value.as_str())))
}

/// What the context of a question is made of.
struct Circumstances<'a> {
    who: &'a Identity,
    now: Now,
    source: IpAddr,
    duration: Seconds,
    reason: Option<&'a Reason>,
    ticket: Option<&'a Ticket>,
}

fn context(circumstances: &Circumstances<'_>, named: &Named) -> Vec<(&'static str, Fact)> {
    let Circumstances { who, now, source, duration, reason, ticket } = circumstances;
    let time = now.time.as_secs();
    // 1970-01-01 was a Thursday.
    let utc_weekday = (time / 86_400 + 3) % 7 + 1;
    let mut all = Attributes::new(named);
    all.put("time", || Fact::Number(long(time)));
    all.put("utc", || Fact::Clock { weekday: long(utc_weekday), minute: long(time % 86_400 / 60) });
    all.put("local", || Fact::Clock { weekday: now.weekday.into(), minute: now.minute.into() });
    all.put("duration", || Fact::Number(long(duration.as_secs())));
    all.put("source", || Fact::Address(source.to_canonical()));
    all.put("mfa", || Fact::Flag(who.mfa));
    all.put("amr", || Fact::Texts(who.amr.clone()));
    all.put("auth_age", || Fact::Number(auth_age(who, *now)));
    let texts =
        [("reason", reason.map(Reason::as_str)), ("ticket", ticket.map(Ticket::as_str)), ("acr", who.acr.as_deref())];
    for (name, value) in texts {
        value.into_iter().for_each(|value| all.text(name, value));
    }
    all.facts
}

/// Attributes, without those that no policy reads.
struct Attributes<'a> {
    named: &'a Named,
    facts: Vec<(&'static str, Fact)>,
}

impl<'a> Attributes<'a> {
    fn new(named: &'a Named) -> Self {
        Self { named, facts: Vec::new() }
    }

    fn put(&mut self, name: &'static str, value: impl FnOnce() -> Fact) {
        if self.named.attribute(name) {
            self.facts.push((name, value()));
        }
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.put(name, || Fact::Text(value.to_owned()));
    }

    /// These are the attributes of `uid`.
    fn of<'t>(self, uid: EntityUid, parents: &[EntityUid], tags: impl Iterator<Item = (&'t str, &'t str)>) -> Thing {
        let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Thing { uid, attributes: self.facts, parents: parents.to_vec(), tags }
    }
}

fn labels<'a>(host: &'a Host, named: &Named) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let tags = named.tags();
    host.labels().iter().filter(move |_| tags).map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Groups that no policy names make no difference.
pub(super) fn named_groups<'a>(identity: &'a Identity, named: &'a Named) -> impl Iterator<Item = &'a EntityUid> {
    identity.groups.iter().filter_map(|group| named.group(group.as_str()))
}

/// A request that leaves its duration open counts as the longest there is: a rule that limits durations must not be
/// escaped by saying nothing.
pub(super) fn duration(ask: &Ask) -> Seconds {
    ask.duration.unwrap_or(Seconds::MAX)
}

fn auth_age(identity: &Identity, now: Now) -> i64 {
    match identity.auth_time {
        Some(typed) if typed <= now.time.plus(SKEW) => long(now.time.since(typed)),
        _ => NEVER,
    }
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(NEVER).min(NEVER)
}
