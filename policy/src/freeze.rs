//! Freezes: nothing is issued to somebody, for a host, or at all, until two people have agreed to go on. What a freeze stops
//! is no policy's to permit.

use crate::{
    Email, FreezeId, HostName, Identity, Inventory, Issuer, Kind, Now, Policies, Reason, Seconds, Subject, Target,
    UnixTime, administers, life::people,
};
use std::{fmt, net::IpAddr};

/// What is frozen.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "freeze", rename_all = "kebab-case")]
pub enum Frozen {
    /// Somebody: this account, and every other that is known by the same verified e-mail address.
    Holder {
        /// A person or a machine.
        kind: Kind,
        /// The issuer of the account.
        issuer: Issuer,
        /// The account.
        subject: Subject,
        /// The verified e-mail address, where one is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<Email>,
    },
    /// A host: no certificate that opens any account on it, for whatever host it would be issued.
    Host {
        /// Its name in the inventory.
        host: HostName,
    },
    /// Everything.
    Everything,
}

impl Frozen {
    /// The account of `identity`, to be frozen.
    pub fn holder(identity: &Identity) -> Self {
        let Identity { kind, issuer, subject, email, .. } = identity.clone();
        Self::Holder { kind, issuer, subject, email }
    }

    /// Whether it is about who `identity` is.
    pub fn is_of(&self, identity: &Identity) -> bool {
        self.is_of_account(&identity.issuer, &identity.subject, identity.email.as_ref())
    }

    /// Whether it is about whoever has this account, or this verified e-mail address.
    pub fn is_of_account(&self, of: &Issuer, who: &Subject, address: Option<&Email>) -> bool {
        let Self::Holder { issuer, subject, email, .. } = self else { return false };
        let by_email = match (email, address) {
            (Some(one), Some(other)) => one.as_str().eq_ignore_ascii_case(other.as_str()),
            _ => false,
        };
        by_email || (issuer, subject) == (of, who)
    }

    /// Whether it keeps `identity` from a certificate to reach `target`.
    pub fn stops(&self, identity: &Identity, target: &Target, inventory: &Inventory) -> bool {
        match self {
            Self::Holder { .. } => self.is_of(identity),
            Self::Host { host } => inventory.opens(target, host),
            Self::Everything => true,
        }
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holder { kind, issuer, subject, email } => {
                let kind = if *kind == Kind::User { "user" } else { "workload" };
                match email {
                    Some(email) => write!(f, "{kind} {email}"),
                    None => write!(f, "{kind} {subject} of {issuer}"),
                }
            }
            Self::Host { host } => write!(f, "host {host}"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

/// A freeze in force. It never ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Freeze {
    /// Its id.
    pub id: FreezeId,
    /// What is frozen.
    pub what: Frozen,
    /// Who froze it.
    pub by: Identity,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: UnixTime,
    /// Who agreed so far that it may go on, oldest first.
    pub thaws: Vec<Thaw>,
}

/// Somebody's word that what is frozen may go on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Thaw {
    /// Whose.
    pub by: Identity,
    /// When.
    pub at: UnixTime,
    /// From where.
    pub source: IpAddr,
    /// Why.
    pub reason: Option<Reason>,
}

impl Freeze {
    /// So many people thaw it together. Whoever froze it may be one of them: what must not be is that one account,
    /// stolen or mistaken, undoes it alone.
    pub const THAWED_BY: usize = 2;
    /// Words that were given longer apart are not given together.
    pub const TOGETHER: Seconds = Seconds::new(86_400);
}

/// The freeze that stops a certificate for `identity` to reach `target`, if one does.
pub fn frozen<'f>(
    freezes: &'f [Freeze],
    identity: &Identity,
    target: &Target,
    inventory: &Inventory,
) -> Option<&'f Freeze> {
    freezes.iter().find(|freeze| freeze.what.stops(identity, target, inventory))
}

/// Why somebody's word does not thaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MayNotThaw {
    /// It is they who are frozen, here or by another freeze.
    #[error("whoever is frozen thaws nothing")]
    Frozen,
    /// They are a machine.
    #[error("only people thaw")]
    Machine,
    /// Policy does not let them administer.
    #[error("policy does not let you thaw")]
    NoPolicy,
}

/// Whether the word of `who` counts, for any of `freezes`.
///
/// # Errors
/// If it does not, why.
pub fn may_thaw(
    policies: &Policies,
    freezes: &[Freeze],
    who: &Identity,
    source: IpAddr,
    now: Now,
) -> Result<(), MayNotThaw> {
    if who.kind != Kind::User {
        return Err(MayNotThaw::Machine);
    }
    if freezes.iter().any(|freeze| freeze.what.is_of(who)) {
        return Err(MayNotThaw::Frozen);
    }
    if !administers(policies, who, source, now) {
        return Err(MayNotThaw::NoPolicy);
    }
    Ok(())
}

/// Whether these words, each of somebody who may thaw, are those of enough people within [`Freeze::TOGETHER`] of `now`.
/// Accounts of one person are one, through however many others they are known to be.
pub fn thawed(words: &[Thaw], now: UnixTime) -> bool {
    let latest = words.iter().filter(|word| now.since(word.at) < Freeze::TOGETHER.as_secs());
    let who: Vec<&Identity> = latest.map(|word| &word.by).collect();
    let mut numbers = people::numbered(&who);
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() >= Freeze::THAWED_BY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{self, NOW};

    fn who(subject: &str, email: Option<&str>) -> Identity {
        let mut who = kit::ask(&["ops"], "deploy@web-1").identity;
        who.subject = subject.parse().unwrap();
        who.email = email.map(|email| email.parse().unwrap());
        who
    }

    fn freeze(what: Frozen) -> Freeze {
        let id = FreezeId::from_random([1; 12]);
        let (by, reason) = (who("ada", None), "theft".parse().unwrap());
        Freeze { id, what, by, reason, at: NOW.time, thaws: Vec::new() }
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    #[test]
    fn a_freeze_stops_what_it_names_and_nothing_else() {
        let ann = who("ann", Some("ann@example.com"));
        let mut elsewhere = who("42", Some("Ann@Example.com"));
        elsewhere.issuer = "https://other.example".parse().unwrap();
        let mut namesake = who("ann", None);
        namesake.issuer = elsewhere.issuer.clone();
        let rows = [
            (Frozen::holder(&ann), &ann, "web-1", true),
            (Frozen::holder(&ann), &elsewhere, "web-1", true),
            (Frozen::holder(&ann), &namesake, "web-1", false),
            (Frozen::holder(&ann), &who("bob", Some("bob@example.com")), "web-1", false),
            (Frozen::holder(&who("ann", None)), &who("ann", None), "web-1", true),
            (Frozen::holder(&who("ann", None)), &who("bob", None), "web-1", false),
            (Frozen::Host { host: host("web-1") }, &ann, "web-1", true),
            (Frozen::Host { host: host("web-1") }, &ann, "web-2", false),
            (Frozen::Everything, &ann, "web-2", true),
        ];
        for (what, who, on, expect) in rows {
            let found = [freeze(what.clone())];
            let target = format!("deploy@{on}").parse().unwrap();
            let stopped = frozen(&found, who, &target, &Inventory::default()).is_some();
            assert_eq!(stopped, expect, "{what} {who:?} {on}");
        }
        assert!(frozen(&[], &ann, &"deploy@web-1".parse().unwrap(), &Inventory::default()).is_none());
    }

    #[test]
    fn a_frozen_host_is_not_opened_by_a_certificate_for_another() {
        let hosts = "
[[host]]
name = \"old-1\"
aliases = [\"o1\"]
accounts = [\"deploy\", \"root\"]
binding = \"account\"
[[host]]
name = \"old-2\"
accounts = [\"deploy\", \"www\"]
binding = \"account\"
[[host]]
name = \"new-1\"
accounts = [\"deploy\"]
";
        let hosts = crate::Source { name: "hosts.toml".to_owned(), text: hosts.to_owned() };
        let set = Policies::load(&crate::Sources { hosts: Some(hosts), ..Default::default() }).unwrap();
        let rows = [
            ("old-1", "deploy@old-1", true),
            ("old-1", "root@o1", true),
            ("old-1", "deploy@old-2", true),
            ("old-1", "www@old-2", false),
            ("old-1", "deploy@new-1", false),
            ("new-1", "deploy@old-1", false),
            ("gone-1", "deploy@old-1", true),
            ("gone-1", "deploy@new-1", false),
        ];
        let ann = who("ann", None);
        for (name, target, expect) in rows {
            let found = [freeze(Frozen::Host { host: host(name) })];
            let stopped = frozen(&found, &ann, &target.parse().unwrap(), set.inventory()).is_some();
            assert_eq!(stopped, expect, "{name} {target}");
        }
        let opening = |name: &str| {
            let host = set.inventory().host(&host(name)).unwrap();
            set.inventory().opening(host).map(|host| host.name().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(opening("old-1"), ["old-1", "old-2"]);
        assert_eq!(opening("new-1"), ["new-1"]);
    }

    #[test]
    fn two_people_thaw_and_one_with_two_accounts_does_not() {
        let word = |by: Identity, ago: u64| Thaw {
            by,
            at: UnixTime::from_secs(NOW.time.as_secs() - ago),
            source: [192, 0, 2, 1].into(),
            reason: None,
        };
        let (ada, bea) = (who("ada", Some("ada@example.com")), who("bea", None));
        let mut again = who("7", Some("ADA@example.com"));
        again.issuer = "https://other.example".parse().unwrap();
        let rows = [
            (vec![], false),
            (vec![word(ada.clone(), 0)], false),
            (vec![word(ada.clone(), 0), word(ada.clone(), 0)], false),
            (vec![word(ada.clone(), 0), word(again, 0)], false),
            (vec![word(ada.clone(), 86_399), word(bea.clone(), 0)], true),
            (vec![word(ada, 86_400), word(bea, 0)], false),
        ];
        for (words, expect) in rows {
            assert_eq!(thawed(&words, NOW.time), expect, "{words:?}");
        }
    }

    #[test]
    fn whoever_is_frozen_or_a_machine_or_no_administrator_thaws_nothing() {
        let policy =
            "@id(\"admins\") permit (principal in Group::\"ops\", action == Action::\"administer\", resource);";
        let set = kit::load(policy);
        let (ann, ada) = (who("ann", None), who("ada", None));
        let all = [freeze(Frozen::holder(&ann)), freeze(Frozen::Everything)];
        let may = |who: &Identity| may_thaw(&set, &all, who, [192, 0, 2, 1].into(), NOW);
        assert_eq!(may(&ada), Ok(()));
        assert_eq!(may(&ann), Err(MayNotThaw::Frozen));
        assert_eq!(may(&Identity { kind: Kind::Workload, ..ada.clone() }), Err(MayNotThaw::Machine));
        assert_eq!(may(&Identity { groups: Vec::new(), ..ada }), Err(MayNotThaw::NoPolicy));
    }
}
