//! Who did what an entry says, by the login on record.

use super::{
    super::record::{Entry, Record},
    No, wrong,
};
use crate::entry::Who;
use policy::{Identity, Now, SessionId};

/// What is decided is recorded within so many seconds: longer than the longest time a server gives a request.
const AWHILE: u64 = 360;

/// Who opened the session, by its login before the entry `at`: whom that entry names, while the session lasted, and at the
/// moment that it says.
pub(super) fn identity<'r>(
    record: &'r Record<'_>,
    at: &Entry<'_>,
    session: &SessionId,
    actor: &Who,
    decided: Now,
) -> Result<&'r Identity, No> {
    let login = record.login(session).filter(|(login, _)| login.index < at.index);
    let (_, login) = login.ok_or_else(|| wrong(format!("the bundle does not hold the login of {session}")))?;
    let identity = login.identity.as_ref().ok_or(No::Untold)?;
    if !actor.names(identity) {
        return Err(wrong("it is by somebody else than who opened its login session"));
    }
    let (moment, recorded) = (decided.time.as_secs(), at.head.time_ms / 1_000);
    if moment.abs_diff(recorded) > AWHILE {
        return Err(wrong("it was decided at another time than it was recorded at"));
    }
    let ended = record.ended(session, at.index).unwrap_or(u64::MAX).min(login.expires.as_secs());
    if ended.saturating_add(AWHILE) < moment {
        return Err(wrong("its login session was over by then"));
    }
    Ok(identity)
}
