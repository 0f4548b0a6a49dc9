//! What the claims of a token mean, once its signature holds: OIDC Core 3.1.3.7 and 3.1.2.1, rule by rule. Pure.

mod read;
mod times;

use super::{
    Rejected, Verified, email, factors, groups,
    rejected::{lacking, refused, refused_with},
    workload,
};
use crate::{
    config::issuer::{IssuerConfig, IssuerKind, Required},
    store::TokenUse,
};
use policy::{Identity, Issuer, UnixTime};
pub(super) use read::at_path;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A token that says enough to be believed, but for the mark that it is now used.
#[derive(Debug)]
pub(super) struct Believed {
    identity: Identity,
    binding: &'static str,
    forget: UnixTime,
    ends: Option<UnixTime>,
}

impl Believed {
    /// Its use is marked by what was signed, not by the whole text: an ECDSA signature can be rewritten to another that
    /// holds as well, and would make of one token two.
    pub(super) fn with_token(self, signed_part: &str) -> Verified {
        let Self { identity, binding, forget, ends } = self;
        let digest = Sha256::new().chain_update(b"jit-ssh token use v1\n").chain_update(signed_part).finalize();
        Verified { identity, token: TokenUse { digest: digest.into(), forget }, binding, ends }
    }
}

/// Who these claims speak of, if everything about them is in order at `now` for a login whose nonce is `nonce`.
pub(super) fn believe(
    config: &IssuerConfig,
    claims: &Map<String, Value>,
    nonce: &str,
    now: UnixTime,
) -> Result<Believed, Rejected> {
    is_from(&config.url, claims)?;
    is_meant_for(config, claims)?;
    is_of_its_kind(config, claims)?;
    let life = times::life(config, claims, now)?;
    let binding = binding(config, claims, nonce)?;
    let auth_time = times::auth_time(config, claims, now)?;
    let subject = claims.get("sub").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let (amr, acr) = (factors::amr(claims)?, factors::acr(claims)?);
    workload::meets_conditions(config, claims)?;
    let identity = Identity {
        kind: config.identity_kind(),
        issuer: config.url.clone(),
        subject: subject.ok_or_else(|| refused("its sub is not 1 to 255 printable ASCII characters"))?,
        email: email::verified(config, claims),
        groups: groups::groups(config, claims)?,
        mfa: factors::several(config, &amr, acr.as_deref()),
        amr,
        acr,
        auth_time,
        claims: workload::carried(config, claims)?,
        known_as: Vec::new(),
    };
    carries_what_it_must(config, claims, &identity)?;
    let ends = (config.kind == IssuerKind::Workload).then_some(life.expires);
    Ok(Believed { identity, binding, forget: life.forget, ends })
}

/// Whether these claims are any business of ours. A public issuer signs tokens for all the world: those that are not
/// meant for us, or speak of workloads that are not ours, are a stranger's rubbish however good their signature.
pub(super) fn concern_us(config: &IssuerConfig, claims: &Map<String, Value>) -> bool {
    is_meant_for(config, claims).is_ok() && workload::meets_conditions(config, claims).is_ok()
}

/// 3.1.3.7, 2. The issuer was chosen by this claim while it was unproven; it is compared again now that it is proven.
fn is_from(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), Rejected> {
    let same = claims.get("iss").and_then(Value::as_str) == Some(issuer.as_str());
    same.then_some(()).ok_or_else(|| refused("its iss is another"))
}

/// 3.1.3.7, 3 to 5: `aud` holds us; where it holds others too, `azp` says that it was made for us.
fn is_meant_for(config: &IssuerConfig, claims: &Map<String, Value>) -> Result<(), Rejected> {
    let audiences = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several
            .iter()
            .map(|audience| audience.as_str().ok_or_else(|| refused("its aud holds something else than texts")))
            .collect::<Result<_, _>>()?,
        _ => return Err(refused("it has no readable aud")),
    };
    let us = config.meant_for();
    if !audiences.contains(&us) {
        return Err(refused_with(
            "its aud is somebody else",
            "the token was made for another application: compare its `aud` with client_id (people) or audience (workloads) of \
             the [[issuer]]",
        ));
    }
    // A workload's token has no nonce: if it were meant for others too, any of them could log in with it here.
    if config.kind == IssuerKind::Workload {
        let alone = audiences.iter().all(|audience| *audience == us);
        return alone.then_some(()).ok_or_else(|| refused("it is meant for others too"));
    }
    match claims.get("azp") {
        Some(azp) if azp.as_str() == Some(us) => Ok(()),
        Some(_) => Err(refused("its azp is somebody else")),
        None if audiences.len() == 1 => Ok(()),
        None => Err(refused("it has several audiences and no azp")),
    }
}

/// Other tokens of the same issuer can hold the right `iss`, `aud` and signature: access tokens (Keycloak's say `typ`,
/// Cognito's `token_use`), logout tokens and other security events (`events`). None is proof of a login.
fn is_of_its_kind(config: &IssuerConfig, claims: &Map<String, Value>) -> Result<(), Rejected> {
    let is_not = |name: &str, wanted: &str| {
        claims.get(name).is_some_and(|said| !said.as_str().is_some_and(|said| said.eq_ignore_ascii_case(wanted)))
    };
    if claims.contains_key("events") {
        return Err(refused("it is a security event, not an ID token"));
    }
    if config.kind == IssuerKind::People && (is_not("typ", "ID") || is_not("token_use", "id")) {
        return Err(refused("it is another kind of token, not an ID token"));
    }
    Ok(())
}

/// Whoever leaves something out of their token must not be better off for it.
fn carries_what_it_must(
    config: &IssuerConfig,
    claims: &Map<String, Value>,
    identity: &Identity,
) -> Result<(), Rejected> {
    let lacks = |required: &&Required| match required {
        Required::Email => identity.email.is_none(),
        Required::Groups => config.groups_from().is_none_or(|name| at_path(claims, name).is_none()),
    };
    match config.require_claims.iter().flatten().find(lacks) {
        None => Ok(()),
        Some(required) => Err(lacking(*required)),
    }
}

/// 3.1.3.7, 11. The nonce is a digest of the session key, so a stolen token opens no session for another key. The device
/// grant has none; its tokens are bound by single use and proof of possession alone, where the operator accepts that.
fn binding(config: &IssuerConfig, claims: &Map<String, Value>, nonce: &str) -> Result<&'static str, Rejected> {
    match (claims.get("nonce"), config.kind) {
        (Some(Value::String(said)), _) if bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) => Ok("nonce"),
        (Some(_), _) => Err(refused_with(
            "its nonce belongs to another session key",
            "the token was made for another login: run `jit-ssh login` again and finish that one",
        )),
        (None, IssuerKind::Workload) => Ok("workload"),
        (None, IssuerKind::People) if config.device_grant => Ok("device"),
        (None, IssuerKind::People) => Err(refused("it has no nonce, and the device grant is not accepted")),
    }
}
