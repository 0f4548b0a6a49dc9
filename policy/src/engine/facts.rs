//! The facts of one question in Cedar's form, built natively: through JSON they would cost more than the decision.

use super::{
    named::Named,
    names::{self, Action, Duty},
};
use crate::{Ask, Host, Identity, Kind, Now, Reason, Seconds, Ticket};
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Value};
use cedar_policy_core::{
    entities::{Entities as Store, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};

use std::net::IpAddr;

/// One question to the engine.
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    /// The principal and its groups, as far as policies name them.
    pub(crate) principals: Vec<EntityUid>,
    /// The resource and all it is in.
    pub(crate) resources: Vec<EntityUid>,
}

/// What a [`Question`] is made of.
pub(crate) struct Facts<'a> {
    /// Whom the question is about: who asks, or who is to approve what `ask` asks for.
    pub(crate) who: &'a Identity,
    pub(crate) ask: &'a Ask,
    pub(crate) host: &'a Host,
    pub(crate) now: Now,
    /// Whether the caller is assumed to be in this group too: for "what would have to change".
    pub(crate) also_in: Option<&'a EntityUid>,
}

/// Facts that Cedar cannot take. Nothing a caller sends should lead here; if it does the answer is no.
#[derive(Debug)]
pub(crate) struct Untellable;

/// An authentication nobody knows the time of is never fresh; small enough that adding to it does not overflow.
const NEVER: i64 = i64::MAX / 4;

/// How far ahead of ours an issuer's clock may be before its `auth_time` is taken for nonsense.
const SKEW: Seconds = Seconds::new(60);

impl Question {
    /// The question in so far as policies that name what `named` holds can tell a difference.
    pub(crate) fn new(facts: &Facts<'_>, action: Action, named: &Named) -> Result<Self, Untellable> {
        let Facts { who, ask, host, also_in, .. } = facts;
        let me = names::principal(who).ok_or(Untellable)?;
        let mut principals = named_groups(who, named);
        principals.extend(also_in.iter().map(|&uid| uid.clone()));
        principals.sort_unstable();
        principals.dedup();
        let account = names::account(ask.target.account(), host.name()).ok_or(Untellable)?;
        // Ancestors are written out: the account is in everything its host is in, so hosts need no entities.
        let mut resources = vec![names::host(host.name()).ok_or(Untellable)?];
        for group in host.groups() {
            resources.push(names::host_group(group.as_str()).ok_or(Untellable)?);
        }
        let mut entities = vec![person(who, me.clone(), &principals, named)?];
        let mut attributes = Attributes::new(named);
        attributes.text("name", ask.target.account().as_str());
        attributes.text("host", host.name().as_str());
        entities.push(entity(account.clone(), attributes, &resources, labels(host, named))?);
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
        Ok(Self {
            request: Request::new(me, action, resource, context(&circumstances, named)?, None)
                .map_err(|_| Untellable)?,
            entities: closed(&entities)?,
            principals,
            resources,
        })
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
        let mut principals = named_groups(who, named);
        let entities = [
            person(who, me.clone(), &principals, named)?,
            entity(service.clone(), Attributes::new(named), &[], std::iter::empty())?,
        ];
        let circumstances = Circumstances { who, now, source, duration: Seconds::MAX, reason: None, ticket: None };
        let context = context(&circumstances, named)?;
        principals.push(me.clone());
        Ok(Self {
            request: Request::new(me, action, service.clone(), context, None).map_err(|_| Untellable)?,
            entities: closed(&entities)?,
            principals,
            resources: vec![service],
        })
    }
}

/// The entities as a store. Half a decision would go into computing the transitive closure of a hierarchy that is closed
/// already: every parent we write is written with all of its own. A test compares this with what Cedar computes.
fn closed(entities: &[Entity]) -> Result<Entities, Untellable> {
    let entities = entities.iter().map(|entity| entity.as_ref().clone());
    let closed = TCComputation::AssumeAlreadyComputed;
    let store = Store::from_entities(entities, None::<&NoEntitiesSchema>, closed, Extensions::all_available());
    store.map(Entities::from).map_err(|_| Untellable)
}

/// The request that is to be approved, and whoever asks for it unless that is `me`.
fn request(
    facts: &Facts<'_>,
    this: EntityUid,
    me: &EntityUid,
    parents: &[EntityUid],
    named: &Named,
) -> Result<Vec<Entity>, Untellable> {
    let asker = names::principal(&facts.ask.identity).ok_or(Untellable)?;
    let mut attributes = Attributes::new(named);
    attributes.text("account", facts.ask.target.account().as_str());
    attributes.text("host", facts.host.name().as_str());
    attributes.put("duration", || Value::new_long(long(duration(facts.ask).as_secs())));
    let role = if facts.ask.identity.kind == Kind::User { "requester" } else { "workload" };
    attributes.put(role, || Value::new_entity_uid(asker.clone()));
    let mut entities = vec![entity(this, attributes, parents, labels(facts.host, named))?];
    if asker != *me {
        let groups = named_groups(&facts.ask.identity, named);
        entities.push(person(&facts.ask.identity, asker, &groups, named)?);
    }
    Ok(entities)
}

fn person(identity: &Identity, me: EntityUid, groups: &[EntityUid], named: &Named) -> Result<Entity, Untellable> {
    let mut attributes = Attributes::new(named);
    attributes.text("issuer", identity.issuer.as_str());
    attributes.text("subject", identity.subject.as_str());
    attributes.text("name", identity.name());
    attributes.text("kind", if identity.kind == Kind::User { "user" } else { "workload" });
    if let Some(email) = &identity.email {
        attributes.text("email", email.as_str());
    }
    let claims = identity.claims.iter().filter(|_| named.tags());
    entity(me, attributes, groups, claims.map(|(name, value)| (name.as_str(), value.as_str())))
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

fn context(circumstances: &Circumstances<'_>, named: &Named) -> Result<Context, Untellable> {
    let Circumstances { who, now, source, duration, reason, ticket } = circumstances;
    let time = now.time.as_secs();
    // 1970-01-01 was a Thursday.
    let utc_weekday = (time / 86_400 + 3) % 7 + 1;
    let mut all = Attributes::new(named);
    all.put("time", || Value::new_long(long(time)));
    all.clock("utc", long(utc_weekday), long(time % 86_400 / 60))?;
    all.clock("local", now.weekday.into(), now.minute.into())?;
    all.put("duration", || Value::new_long(long(duration.as_secs())));
    all.put("source", || Value::new_ip(source.to_canonical().to_string()));
    all.put("mfa", || Value::new_bool(who.mfa));
    all.put("amr", || Value::new_set(who.amr.iter().map(|method| Value::new_string(method.clone()))));
    all.put("auth_age", || Value::new_long(auth_age(who, *now)));
    let texts =
        [("reason", reason.map(Reason::as_str)), ("ticket", ticket.map(Ticket::as_str)), ("acr", who.acr.as_deref())];
    for (name, value) in texts {
        value.into_iter().for_each(|value| all.text(name, value));
    }
    Context::from_pairs(all.pairs).map_err(|_| Untellable)
}

/// Attributes, without those that no policy reads.
struct Attributes<'a> {
    named: &'a Named,
    pairs: Vec<(String, Value)>,
}

impl<'a> Attributes<'a> {
    fn new(named: &'a Named) -> Self {
        Self { named, pairs: Vec::new() }
    }

    fn put(&mut self, name: &str, value: impl FnOnce() -> Value) {
        if self.named.attribute(name) {
            self.pairs.push((name.to_owned(), value()));
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.put(name, || Value::new_string(value.to_owned()));
    }

    fn clock(&mut self, name: &str, weekday: i64, minute: i64) -> Result<(), Untellable> {
        if self.named.attribute(name) {
            let fields = [("weekday", weekday), ("minute", minute)];
            let fields = fields.map(|(field, number)| (field.to_owned(), Value::new_long(number)));
            self.pairs.push((name.to_owned(), Value::new_record(fields).map_err(|_| Untellable)?));
        }
        Ok(())
    }
}

fn entity<'t>(
    uid: EntityUid,
    attributes: Attributes<'_>,
    parents: &[EntityUid],
    tags: impl Iterator<Item = (&'t str, &'t str)>,
) -> Result<Entity, Untellable> {
    let tags = tags.map(|(name, value)| (name.to_owned(), Value::new_string(value.to_owned())));
    Entity::new_with_tags(uid, attributes.pairs, parents.iter().cloned(), tags).map_err(|_| Untellable)
}

fn labels<'a>(host: &'a Host, named: &Named) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let tags = named.tags();
    host.labels().iter().filter(move |_| tags).map(|(name, value)| (name.as_str(), value.as_str()))
}

fn named_groups(identity: &Identity, named: &Named) -> Vec<EntityUid> {
    identity.groups.iter().filter_map(|group| named.group(group.as_str()).cloned()).collect()
}

/// A request that leaves its duration open counts as the longest there is: a rule that limits durations must not be
/// escaped by saying nothing.
fn duration(ask: &Ask) -> Seconds {
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
