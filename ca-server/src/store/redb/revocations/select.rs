//! Which live certificates a selection means.

use super::{About, Key, corrupt};
use crate::store::{LiveCertificate, Selection, records, redb::tables::Owner};
use ::redb::{Error, ReadableTable};
use policy::{GrantId, HostName, Issuer, Serial, UnixTime};
use sha2::{Digest as _, Sha256};

pub(super) fn select(
    live: &impl ReadableTable<(u64, u64), About>,
    under: &impl ReadableTable<(u64, u64), &'static str>,
    revoked: &impl ReadableTable<Key, ()>,
    which: &Selection,
    now: UnixTime,
) -> Result<Vec<LiveCertificate>, Error> {
    let mut found = Vec::new();
    if let Selection::Grant(grant) = which {
        found = under_grant(live, under, grant, now, UnixTime::from_secs(u64::MAX))?;
    }
    // Grants that came from no request are in no index: each of them is one certificate.
    if found.is_empty() {
        let wanted = Wanted::from(which);
        for row in live.range(after(now)..)? {
            let (key, about) = row?;
            if wanted.takes(about.value()) {
                found.push((key.value().0, about.value().0));
            }
        }
    }
    certificates(found, revoked)
}

/// What is known of these, in order.
pub(super) fn certificates(
    mut found: Vec<Key>,
    revoked: &impl ReadableTable<Key, ()>,
) -> Result<Vec<LiveCertificate>, Error> {
    found.sort_unstable();
    let one = |(expires, serial): Key| {
        let revoked = revoked.get((expires, serial))?.is_some();
        Ok(LiveCertificate {
            expires: UnixTime::from_secs(expires),
            serial: Serial::try_from(serial).map_err(corrupt)?,
            revoked,
        })
    };
    found.into_iter().map(one).collect()
}

/// A selection in the terms of the table.
enum Wanted<'s> {
    Grant(&'s str),
    Holders(Vec<Owner>),
    Hosts(Vec<&'s str>),
    Policy(&'s str),
    Serial(u64),
    Issuer([u8; 32]),
    All,
}

impl<'s> From<&'s Selection> for Wanted<'s> {
    fn from(which: &'s Selection) -> Self {
        match which {
            Selection::Grant(grant) => Self::Grant(grant.as_str()),
            Selection::Holders(holders) => {
                Self::Holders(holders.iter().map(|(issuer, subject)| records::owner(issuer, subject)).collect())
            }
            Selection::Hosts(hosts) => Self::Hosts(hosts.iter().map(HostName::as_str).collect()),
            Selection::Policy(policy) => Self::Policy(policy.as_str()),
            Selection::Serial(serial) => Self::Serial(serial.get()),
            Selection::Issuer(issuer) => Self::Issuer(digest(issuer)),
            Selection::All => Self::All,
        }
    }
}

impl Wanted<'_> {
    fn takes(&self, about: (u64, &Owner, &[u8; 32], &str, &str, &str)) -> bool {
        let (serial, holder, issuer, host, policy, grant) = about;
        match self {
            Self::Grant(wanted) => *wanted == grant,
            Self::Holders(wanted) => wanted.contains(holder),
            Self::Hosts(wanted) => wanted.contains(&host),
            Self::Policy(wanted) => *wanted == policy,
            Self::Serial(wanted) => *wanted == serial,
            Self::Issuer(wanted) => wanted == issuer,
            Self::All => true,
        }
    }
}

/// The live certificates of a grant that came from a request, as far as they expire until `last`.
pub(super) fn under_grant(
    live: &impl ReadableTable<(u64, u64), About>,
    under: &impl ReadableTable<(u64, u64), &'static str>,
    grant: &GrantId,
    now: UnixTime,
    last: UnixTime,
) -> Result<Vec<Key>, Error> {
    let mut found = Vec::new();
    if last <= now {
        return Ok(found);
    }
    for row in under.range(after(now)..=(last.as_secs(), u64::MAX))? {
        let (key, its) = row?;
        if its.value() == grant.as_str() {
            let key = key.value();
            found.extend(live.get(key)?.map(|about| (key.0, about.value().0)));
        }
    }
    Ok(found)
}

/// The first place of what has not expired.
fn after(now: UnixTime) -> (u64, u64) {
    (now.as_secs().saturating_add(1), 0)
}

pub(super) fn digest(issuer: &Issuer) -> [u8; 32] {
    Sha256::digest(issuer.as_str()).into()
}
