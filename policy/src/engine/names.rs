//! How our words are called in Cedar.

use crate::{Account, HostName, Identity, Kind};
use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use std::{str::FromStr, sync::LazyLock};

/// What policies may speak of.
pub(super) const SCHEMA: &str = include_str!("../schema.cedarschema");

/// The action of emergency access.
pub(super) const BREAK_GLASS: &str = "break-glass";

/// An action on an account, or on a request for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Connect,
    BreakGlass,
    Approve,
}

/// An action on this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Administer,
    Audit,
}

/// Types and actions that exist by construction; none where the engine refused our own names, which denies everything.
struct Names {
    user: EntityTypeName,
    workload: EntityTypeName,
    account: EntityTypeName,
    host: EntityTypeName,
    host_group: EntityTypeName,
    request: EntityTypeName,
    service: EntityUid,
    connect: EntityUid,
    break_glass: EntityUid,
    approve: EntityUid,
    administer: EntityUid,
    audit: EntityUid,
}

static NAMES: LazyLock<Option<Names>> = LazyLock::new(|| {
    let named = |name: &str| EntityTypeName::from_str(name).ok();
    let action = named("Action")?;
    Some(Names {
        user: named("User")?,
        workload: named("Workload")?,
        account: named("Account")?,
        host: named("Host")?,
        host_group: named("HostGroup")?,
        request: named("Request")?,
        service: uid(&named("Service")?, "jit-ssh"),
        connect: uid(&action, "connect"),
        break_glass: uid(&action, BREAK_GLASS),
        approve: uid(&action, "approve"),
        administer: uid(&action, "administer"),
        audit: uid(&action, "audit"),
    })
});

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// `User::"<issuer> <subject>"`. An issuer never holds a space, so the first one separates, whatever the subject holds.
pub(crate) fn principal(identity: &Identity) -> Option<EntityUid> {
    let names = NAMES.as_ref()?;
    let kind = match identity.kind {
        Kind::User => &names.user,
        Kind::Workload => &names.workload,
    };
    Some(uid(kind, &format!("{} {}", identity.issuer, identity.subject)))
}

pub(crate) fn account(account: &Account, host: &HostName) -> Option<EntityUid> {
    Some(uid(&NAMES.as_ref()?.account, &format!("{account}@{host}")))
}

pub(crate) fn host(name: &HostName) -> Option<EntityUid> {
    Some(uid(&NAMES.as_ref()?.host, name.as_str()))
}

pub(crate) fn host_group(name: &str) -> Option<EntityUid> {
    Some(uid(&NAMES.as_ref()?.host_group, name))
}

/// The one request that a decision is about; stored requests carry their own ids elsewhere.
pub(crate) fn request() -> Option<EntityUid> {
    Some(uid(&NAMES.as_ref()?.request, "this"))
}

pub(crate) fn action(action: Action) -> Option<EntityUid> {
    let names = NAMES.as_ref()?;
    Some(match action {
        Action::Connect => names.connect.clone(),
        Action::BreakGlass => names.break_glass.clone(),
        Action::Approve => names.approve.clone(),
    })
}

/// A duty, and the service that it is a duty of.
pub(crate) fn duty(duty: Duty) -> Option<(EntityUid, EntityUid)> {
    let names = NAMES.as_ref()?;
    let action = match duty {
        Duty::Administer => names.administer.clone(),
        Duty::Audit => names.audit.clone(),
    };
    Some((action, names.service.clone()))
}
