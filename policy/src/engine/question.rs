//! One question to the engine, as a value: Cedar's form is made of it and of nothing else.

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Value};
use cedar_policy_core::{
    entities::{Entities as Store, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};
use std::net::IpAddr;

/// One question to the engine.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) principal: EntityUid,
    pub(super) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(super) context: Vec<(&'static str, Fact)>,
    pub(super) entities: Vec<Thing>,
    /// The principal and its groups, as far as policies name them.
    pub(crate) principals: Vec<EntityUid>,
    /// The resource and all it is in.
    pub(crate) resources: Vec<EntityUid>,
}

/// The value of an attribute.
#[derive(Debug)]
pub(super) enum Fact {
    Flag(bool),
    Number(i64),
    Text(String),
    Texts(Vec<String>),
    Address(IpAddr),
    Entity(EntityUid),
    Clock { weekday: i64, minute: i64 },
}

/// An entity: what it is, has, and is in.
#[derive(Debug)]
pub(super) struct Thing {
    pub(super) uid: EntityUid,
    pub(super) attributes: Vec<(&'static str, Fact)>,
    pub(super) parents: Vec<EntityUid>,
    pub(super) tags: Vec<(String, String)>,
}

/// A question in Cedar's form, built natively: through JSON it would cost more than the decision.
pub(crate) struct Told {
    pub(super) request: Request,
    pub(super) entities: Entities,
}

/// Facts that Cedar cannot take. Nothing a caller sends should lead here; if it does the answer is no.
#[derive(Debug)]
pub(crate) struct Untellable;

impl Question {
    /// The same in Cedar's form.
    pub(crate) fn told(&self) -> Result<Told, Untellable> {
        let (principal, action, resource) = (self.principal.clone(), self.action.clone(), self.resource.clone());
        let context = Context::from_pairs(pairs(&self.context)?).map_err(|_| Untellable)?;
        let request = Request::new(principal, action, resource, context, None).map_err(|_| Untellable)?;
        Ok(Told { request, entities: closed(&self.entities)? })
    }
}

impl Fact {
    fn value(&self) -> Result<Value, Untellable> {
        Ok(match self {
            Self::Flag(flag) => Value::new_bool(*flag),
            Self::Number(number) => Value::new_long(*number),
            Self::Text(text) => Value::new_string(text.clone()),
            Self::Texts(texts) => Value::new_set(texts.iter().cloned().map(Value::new_string)),
            Self::Address(address) => Value::new_ip(address.to_string()),
            Self::Entity(uid) => Value::new_entity_uid(uid.clone()),
            Self::Clock { weekday, minute } => {
                let fields = [("weekday", weekday), ("minute", minute)];
                let fields = fields.map(|(field, number)| (field.to_owned(), Value::new_long(*number)));
                Value::new_record(fields).map_err(|_| Untellable)?
            }
        })
    }
}

fn pairs(facts: &[(&'static str, Fact)]) -> Result<Vec<(String, Value)>, Untellable> {
    facts.iter().map(|(name, fact)| Ok(((*name).to_owned(), fact.value()?))).collect()
}

fn entity(thing: &Thing) -> Result<Entity, Untellable> {
    let tags = thing.tags.iter().map(|(name, value)| (name.clone(), Value::new_string(value.clone())));
    let (uid, parents) = (thing.uid.clone(), thing.parents.iter().cloned());
    Entity::new_with_tags(uid, pairs(&thing.attributes)?, parents, tags).map_err(|_| Untellable)
}

/// The entities as a store. Half a decision would go into computing the transitive closure of a hierarchy that is closed
/// already: every parent we write is written with all of its own. A test compares this with what Cedar computes.
fn closed(things: &[Thing]) -> Result<Entities, Untellable> {
    let entities = things.iter().map(entity).collect::<Result<Vec<Entity>, _>>()?;
    let entities = entities.iter().map(|entity| entity.as_ref().clone());
    let closed = TCComputation::AssumeAlreadyComputed;
    let store = Store::from_entities(entities, None::<&NoEntitiesSchema>, closed, Extensions::all_available());
    store.map(Entities::from).map_err(|_| Untellable)
}
