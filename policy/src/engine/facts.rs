//! The facts of one question in Cedar's form, built natively: through JSON they would cost more than the decision.

use super::{names, names::Action};
use crate::{Ask, Host, Identity, Kind, Now, Seconds};
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Value};
use std::collections::HashMap;

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
    /// `groups` are the groups that policies name: the others cannot matter.
    pub(crate) fn new(
        facts: &Facts<'_>,
        action: Action,
        groups: &HashMap<String, EntityUid>,
    ) -> Result<Self, Untellable> {
        let Facts { who, ask, host, now, also_in } = facts;
        let me = names::principal(who).ok_or(Untellable)?;
        let mut mine = named_groups(who, groups);
        mine.extend(also_in.iter().map(|&uid| uid.clone()));
        let account = names::account(ask.target.account(), host.name()).ok_or(Untellable)?;
        let on = names::host(host.name()).ok_or(Untellable)?;
        let host_groups = host.groups().iter().map(|group| names::host_group(group.as_str()));
        let host_groups: Vec<EntityUid> = host_groups.collect::<Option<_>>().ok_or(Untellable)?;

        let principal = person(who, me.clone(), &mine)?;
        // Ancestors are written out, the account is in everything its host is in: there is no closure left to compute.
        let mut ancestors = host_groups;
        ancestors.push(on);
        let attributes = [text("name", ask.target.account().as_str()), text("host", host.name().as_str())];
        let labels = || host.labels().iter().map(|(key, value)| text(key, value));
        let target = Entity::new_with_tags(account.clone(), attributes, ancestors.iter().cloned(), labels());
        let target = target.map_err(|_| Untellable)?;

        let mut entities = vec![principal, target];
        let resource = match action {
            Action::Connect => account.clone(),
            Action::Approve => {
                let this = names::request().ok_or(Untellable)?;
                let asker = names::principal(&ask.identity).ok_or(Untellable)?;
                let requester = if ask.identity.kind == Kind::User { "requester" } else { "workload" };
                let attributes = [
                    text("account", ask.target.account().as_str()),
                    text("host", host.name().as_str()),
                    ("duration".to_owned(), Value::new_long(duration(ask))),
                    (requester.to_owned(), Value::new_entity_uid(asker.clone())),
                ];
                let parents = ancestors.iter().chain([&account]).cloned();
                let request = Entity::new_with_tags(this.clone(), attributes, parents, labels());
                entities.push(request.map_err(|_| Untellable)?);
                if asker != me {
                    entities.push(person(&ask.identity, asker, &named_groups(&ask.identity, groups))?);
                }
                this
            }
        };
        let action = names::action(action).ok_or(Untellable)?;
        let request = Request::new(me.clone(), action, resource.clone(), context(who, ask, *now)?, None);
        let mut principals = mine;
        principals.push(me);
        principals.sort_unstable();
        principals.dedup();
        ancestors.push(account);
        if !ancestors.contains(&resource) {
            ancestors.push(resource);
        }
        Ok(Self {
            request: request.map_err(|_| Untellable)?,
            entities: Entities::from_entities(entities, None).map_err(|_| Untellable)?,
            principals,
            resources: ancestors,
        })
    }
}

fn named_groups(identity: &Identity, groups: &HashMap<String, EntityUid>) -> Vec<EntityUid> {
    identity.groups.iter().filter_map(|group| groups.get(group.as_str()).cloned()).collect()
}

fn person(identity: &Identity, me: EntityUid, groups: &[EntityUid]) -> Result<Entity, Untellable> {
    let kind = match identity.kind {
        Kind::User => "user",
        Kind::Workload => "workload",
    };
    let attributes = [
        text("issuer", identity.issuer.as_str()),
        text("subject", identity.subject.as_str()),
        text("name", identity.name()),
        text("kind", kind),
    ];
    let attributes = attributes.into_iter().chain(identity.email.iter().map(|email| text("email", email.as_str())));
    let claims = identity.claims.iter().map(|(name, value)| text(name, value));
    Entity::new_with_tags(me, attributes, groups.iter().cloned(), claims).map_err(|_| Untellable)
}

fn context(identity: &Identity, ask: &Ask, now: Now) -> Result<Context, Untellable> {
    let time = now.time.as_secs();
    // 1970-01-01 was a Thursday.
    let utc_weekday = (time / 86_400 + 3) % 7 + 1;
    let pairs = [
        ("time".to_owned(), Value::new_long(long(time))),
        ("utc".to_owned(), clock(long(utc_weekday), long(time % 86_400 / 60))?),
        ("local".to_owned(), clock(now.weekday.into(), now.minute.into())?),
        ("duration".to_owned(), Value::new_long(duration(ask))),
        ("source".to_owned(), Value::new_ip(ask.source.to_canonical().to_string())),
        ("mfa".to_owned(), Value::new_bool(identity.mfa)),
        ("amr".to_owned(), Value::new_set(identity.amr.iter().map(|method| Value::new_string(method.clone())))),
        ("auth_age".to_owned(), Value::new_long(auth_age(identity, now))),
    ];
    let reason = ask.reason.iter().map(|reason| text("reason", reason.as_str()));
    let ticket = ask.ticket.iter().map(|ticket| text("ticket", ticket.as_str()));
    let acr = identity.acr.iter().map(|acr| text("acr", acr));
    Context::from_pairs(pairs.into_iter().chain(reason).chain(ticket).chain(acr)).map_err(|_| Untellable)
}

/// A request that leaves its duration open counts as the longest there is: a rule that limits durations must not be
/// escaped by saying nothing.
fn duration(ask: &Ask) -> i64 {
    long(ask.duration.unwrap_or(Seconds::MAX).as_secs())
}

fn auth_age(identity: &Identity, now: Now) -> i64 {
    match identity.auth_time {
        Some(typed) if typed <= now.time.plus(SKEW) => long(now.time.since(typed)),
        _ => NEVER,
    }
}

fn clock(weekday: i64, minute: i64) -> Result<Value, Untellable> {
    let fields = [("weekday".to_owned(), Value::new_long(weekday)), ("minute".to_owned(), Value::new_long(minute))];
    Value::new_record(fields).map_err(|_| Untellable)
}

fn text(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::new_string(value.to_owned()))
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(NEVER).min(NEVER)
}
