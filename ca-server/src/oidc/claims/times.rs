//! When a token holds, and when the person behind it last typed something.

use super::read::numeric_date;
use crate::{
    config::issuer::IssuerConfig,
    oidc::{
        Rejected,
        rejected::{refused, refused_with},
    },
};
use policy::{Seconds, UnixTime};
use serde_json::{Map, Value};

/// How far an issuer's clock may be from ours.
const SKEW: Seconds = Seconds::new(60);

pub(super) struct Life {
    /// `exp`.
    pub(super) expires: UnixTime,
    /// From then on it is refused for its age alone.
    pub(super) forget: UnixTime,
}

/// 3.1.3.7, 9 and 10. A token is used up once, so how long it can be used bounds how long its use must be remembered.
pub(super) fn life(config: &IssuerConfig, claims: &Map<String, Value>, now: UnixTime) -> Result<Life, Rejected> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => numeric_date(value)
            .map(|seconds| Some(UnixTime::from_secs(seconds)))
            .ok_or_else(|| refused("its exp, iat or nbf is not a point in time")),
    };
    let expires = time("exp")?.ok_or_else(|| refused("it has no exp"))?;
    if expires.plus(SKEW) <= now {
        return Err(refused_with("it has expired", "log in again"));
    }
    let begun = |time: Option<UnixTime>| time.is_none_or(|time| time <= now.plus(SKEW));
    let issued = time("iat")?;
    if !begun(issued) || !begun(time("nbf")?) {
        return Err(refused_with(
            "it lies in the future",
            "the clocks of issuer and server differ by more than a minute: check NTP on the server",
        ));
    }
    let age = config.token_age();
    let last = match issued {
        Some(issued) if issued.plus(age).plus(SKEW) <= now => {
            return Err(refused_with("it is older than max_token_age", "log in again and finish within max_token_age"));
        }
        Some(issued) => expires.min(issued.plus(age)),
        // A JWT-SVID may lack iat; then what is left of its life stands for its age.
        None if config.identity_kind() == policy::Kind::Workload && expires <= now.plus(age).plus(SKEW) => expires,
        None => return Err(refused("it has no iat")),
    };
    Ok(Life { expires, forget: last.plus(SKEW) })
}

/// 3.1.2.1: when the person was last asked for anything. Absent, zero, strange or in the future is unknown, and unknown is
/// never fresh.
pub(super) fn auth_time(
    config: &IssuerConfig,
    claims: &Map<String, Value>,
    now: UnixTime,
) -> Result<Option<UnixTime>, Rejected> {
    let said = claims.get("auth_time").and_then(numeric_date).filter(|seconds| *seconds > 0).map(UnixTime::from_secs);
    let auth_time = said.filter(|time| *time <= now.plus(SKEW));
    if let Some(most) = config.max_auth_age {
        let fresh = auth_time.is_some_and(|time| now <= time.plus(most).plus(SKEW));
        if !fresh {
            return Err(refused_with(
                "auth_time is absent, strange or older than max_auth_age",
                "log in at the issuer anew: the last time you did is too long ago, or it does not say when",
            ));
        }
    }
    Ok(auth_time)
}
