//! The public certificates we hold and what is known of each, so that `ensure` decides without a network.

use super::StateDir;
use crate::{clock, error::Failure, keys, route::Route};
use policy::{GrantId, HostName, PolicyId, Reason, RequestId, Seconds, Serial, Target, Ticket, UnixTime};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fs::File, path::PathBuf};

const ALIASES: &str = "aliases";

/// What is known of a certificate.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// What it is for, the host by its name in the inventory.
    pub target: Target,
    /// Its serial.
    pub serial: Serial,
    /// The grant it was issued under.
    pub grant: GrantId,
    /// The policy that granted it.
    pub policy: PolicyId,
    /// When it was issued, by the server's clock.
    pub issued: UnixTime,
    /// When it runs out, by the server's clock.
    pub expires: UnixTime,
    /// When the grant ends, by the server's clock.
    pub until: UnixTime,
    /// Server's clock less ours, at issue.
    pub clock_offset_ms: i64,
    /// The duration asked for: renewals then stay within `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// The reason given, for renewals until `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The ticket given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// The request it was issued under, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Known to be standing access: a grant of its own, which no request can end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standing: bool,
}

impl Entry {
    /// Whether it still holds and more than a third of its life is left. Where the grant itself ends with it, a renewal
    /// would not last longer, so it is used to its end.
    pub fn is_fresh(&self, now: UnixTime) -> bool {
        let now = clock::shifted(now, self.clock_offset_ms);
        let left = self.expires.since(now);
        let life = self.expires.since(self.issued);
        left > 2 && (left > life / 3 || self.expires >= self.until)
    }

    /// Whether it has run out.
    pub fn is_over(&self, now: UnixTime) -> bool {
        clock::shifted(now, self.clock_offset_ms) >= self.expires
    }

    /// How much of its grant is left, for a renewal that must not outlive it.
    pub fn grant_left(&self, now: UnixTime) -> u64 {
        self.until.since(clock::shifted(now, self.clock_offset_ms))
    }
}

/// The directory of certificates.
pub struct Certs(StateDir);

impl Certs {
    /// Opens it.
    ///
    /// # Errors
    /// If it is not ours alone.
    pub fn open(state: &StateDir) -> Result<Self, Failure> {
        state.subdir("certs").map(Self)
    }

    /// Where the public certificate for `target` is or will be: what ssh is told as `IdentityFile`.
    pub fn path(&self, target: &Target) -> PathBuf {
        self.0.path().join(certificate_name(target))
    }

    /// `target` with the host's name in the inventory, where it is known that people call it otherwise. One host has one
    /// certificate, whatever it is called.
    pub fn canonical(&self, target: &Target) -> Target {
        let host = self.aliases().remove(target.host()).unwrap_or_else(|| target.host().clone());
        Target::new(target.account().clone(), host)
    }

    /// Remembers what `asked` is called in the inventory, until logout or until it is another host's name.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn learn_alias(&self, asked: &Target, canonical: &Target) -> Result<(), Failure> {
        if self.canonical(asked) == *canonical {
            return Ok(());
        }
        let _lock = self.0.lock("aliases.lock")?;
        let mut aliases = self.aliases();
        if asked == canonical {
            aliases.remove(asked.host());
        } else {
            aliases.insert(asked.host().clone(), canonical.host().clone());
        }
        let json = serde_json::to_vec(&aliases).map_err(|_unwritable| Failure::failed("aliases cannot be written"))?;
        self.0.write(ALIASES, &json)
    }

    fn aliases(&self) -> BTreeMap<HostName, HostName> {
        let known = self.0.read(ALIASES).ok().flatten();
        known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// The entry and the certificate's text; none if either is missing or cannot be read: it is then issued anew.
    pub fn load(&self, target: &Target) -> Option<(Entry, String)> {
        let stem = stem(target);
        let entry: Entry = serde_json::from_slice(&self.0.read(&format!("{stem}.json")).ok()??).ok()?;
        let text = String::from_utf8(self.0.read(&certificate_name(target)).ok()??).ok()?;
        (entry.target == *target).then_some((entry, text))
    }

    /// Keeps both. The certificate first: an entry never speaks of one that is not there.
    ///
    /// # Errors
    /// If that fails.
    pub fn save(&self, entry: &Entry, certificate: &str) -> Result<(), Failure> {
        self.0.write(&certificate_name(&entry.target), format!("{}\n", certificate.trim_end()).as_bytes())?;
        let json = serde_json::to_vec(entry).map_err(|_unwritable| Failure::failed("an entry cannot be written"))?;
        self.0.write(&format!("{}.json", stem(&entry.target)), &json)
    }

    /// Remembers that the certificate of `entry` is one of standing access, if it is still the one that is kept.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn mark_standing(&self, entry: &Entry) -> Result<(), Failure> {
        let _kept = self.lock_kept(&entry.target)?;
        match self.load(&entry.target) {
            Some((kept, text)) if kept.serial == entry.serial => self.save(&Entry { standing: true, ..kept }, &text),
            _another => Ok(()),
        }
    }

    /// The way to the target's host as it was last known.
    pub fn route(&self, target: &Target) -> Option<Route> {
        Route::from_json(&self.0.read(&format!("{}.route", stem(target))).ok()??)
    }

    /// Remembers it, until logout.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn keep_route(&self, target: &Target, route: &Route) -> Result<(), Failure> {
        self.0.write(&format!("{}.route", stem(target)), &route.to_json()?)
    }

    /// Every entry that can be read, by target.
    pub fn all(&self) -> Vec<(Entry, String)> {
        let names = self.0.names();
        let entries = names.iter().filter(|name| name.ends_with(".json"));
        let mut all: Vec<_> = entries
            .filter_map(|name| serde_json::from_slice::<Entry>(&self.0.read(name).ok()??).ok())
            .filter_map(|entry| self.load(&entry.target))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.target.cmp(&other.target));
        all
    }

    /// Forgets the certificate of `entry`, if it is still the one that is kept: an `ensure` beside us may have got another,
    /// under another grant.
    ///
    /// # Errors
    /// If a file stays.
    pub fn forget(&self, entry: &Entry) -> Result<(), Failure> {
        let _kept = self.lock_kept(&entry.target)?;
        if self.load(&entry.target).is_none_or(|(kept, _)| kept.serial != entry.serial) {
            return Ok(());
        }
        self.0.remove(&format!("{}.json", stem(&entry.target)))?;
        self.0.remove(&certificate_name(&entry.target))
    }

    /// Forgets all.
    ///
    /// # Errors
    /// If a file stays.
    pub fn clear(&self) -> Result<(), Failure> {
        self.0.names().iter().try_for_each(|name| self.0.remove(name))
    }

    /// One process at a time gets a certificate for `target`: Ansible's fifty forks then share one issue.
    ///
    /// # Errors
    /// If the lock cannot be had.
    pub fn lock(&self, target: &Target) -> Result<File, Failure> {
        self.0.lock(&format!("{}.lock", stem(target)))
    }

    /// One process at a time changes what the agent and this directory hold for `target`, a host by its name in the
    /// inventory: whoever asked by an alias holds another [`Certs::lock`]. Nobody waits for a network while holding it.
    ///
    /// # Errors
    /// If the lock cannot be had.
    pub fn lock_kept(&self, target: &Target) -> Result<File, Failure> {
        self.0.lock(&format!("{}+kept.lock", stem(target)))
    }

    /// The last attempt to get a certificate for `target` that reached nobody.
    pub fn unanswered(&self, target: &Target) -> Option<Unanswered> {
        serde_json::from_slice(&self.0.read(&format!("{}.unanswered", stem(target))).ok()??).ok()
    }

    /// Leaves it for those who queue for [`Certs::lock`] meanwhile: they need not wait as long for the same.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn keep_unanswered(&self, target: &Target, failure: &Failure) -> Result<(), Failure> {
        let attempt =
            Unanswered { attempt: keys::nonce()?, message: failure.message.clone(), hint: failure.hint.clone() };
        let json = serde_json::to_vec(&attempt).map_err(|_unwritable| Failure::failed("it cannot be written"))?;
        self.0.write(&format!("{}.unanswered", stem(target)), &json)
    }
}

/// An attempt that reached nobody. Known by its number, not by its time: clocks jump.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unanswered {
    attempt: [u8; 16],
    message: String,
    hint: Option<String>,
}

impl From<Unanswered> for Failure {
    fn from(attempt: Unanswered) -> Self {
        Self { hint: attempt.hint, ..Self::unreachable(attempt.message) }
    }
}

fn certificate_name(target: &Target) -> String {
    format!("{}-cert.pub", stem(target))
}

/// The target itself, whose characters are all harmless in a file name; its digest where the file system would refuse
/// the length.
pub fn stem(target: &Target) -> String {
    let text = target.to_string();
    if text.len() <= 200 {
        return text;
    }
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(issued: u64, expires: u64, until: u64) -> Entry {
        Entry {
            target: "deploy@web-1".parse().unwrap(),
            serial: Serial::from_random(7).unwrap(),
            grant: GrantId::from_random([1; 12]),
            policy: "web".parse().unwrap(),
            issued: UnixTime::from_secs(issued),
            expires: UnixTime::from_secs(expires),
            until: UnixTime::from_secs(until),
            clock_offset_ms: 0,
            duration: None,
            reason: None,
            ticket: None,
            request: None,
            standing: false,
        }
    }

    #[test]
    fn renewed_when_less_than_a_third_is_left() {
        let entry = entry(1000, 1300, 9000);
        assert!(entry.is_fresh(UnixTime::from_secs(1199)));
        assert!(!entry.is_fresh(UnixTime::from_secs(1200)));
    }

    #[test]
    fn the_last_certificate_of_a_grant_is_used_to_its_end() {
        let entry = entry(1000, 1300, 1300);
        assert!(entry.is_fresh(UnixTime::from_secs(1297)));
        assert!(!entry.is_fresh(UnixTime::from_secs(1298)));
        assert!(entry.is_over(UnixTime::from_secs(1300)));
    }

    #[test]
    fn a_clock_that_is_wrong_does_not_matter() {
        let mut entry = entry(10_000, 10_300, 90_000);
        entry.clock_offset_ms = 9_000_000;
        assert!(entry.is_fresh(UnixTime::from_secs(1_100)));
        assert!(!entry.is_fresh(UnixTime::from_secs(1_250)));
    }

    #[test]
    fn certificates_come_back_as_they_were_kept() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::at(outer.path().join("s")).unwrap();
        let certs = Certs::open(&state).unwrap();
        certs.save(&entry(1, 2, 3), "ssh-ed25519-cert-v01@openssh.com AAAA").unwrap();
        let (kept, text) = certs.load(&"deploy@web-1".parse().unwrap()).unwrap();
        assert_eq!((kept.expires, text.trim_end()), (UnixTime::from_secs(2), "ssh-ed25519-cert-v01@openssh.com AAAA"));
        assert_eq!(certs.all().len(), 1);
        certs.forget(&Entry { serial: Serial::from_random(8).unwrap(), ..kept.clone() }).unwrap();
        assert_eq!(certs.all().len(), 1, "another took its place");
        certs.forget(&kept).unwrap();
        assert!(certs.all().is_empty());
        certs.save(&kept, &text).unwrap();
        certs.clear().unwrap();
        assert!(certs.all().is_empty());
    }

    #[test]
    fn a_name_that_is_too_long_for_a_file_gets_its_digest() {
        let host = [["a"; 60].concat(), ["b"; 60].concat(), ["c"; 60].concat(), ["d"; 60].concat()].join(".");
        let target: Target = format!("deploy@{host}").parse().unwrap();
        assert_eq!(stem(&target).len(), 64);
    }
}
