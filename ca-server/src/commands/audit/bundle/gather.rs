//! Which entries a bundle holds: all that speak of the grant, and all that is needed to judge them. Two walks through the
//! log: what is needed stands before what needs it.

mod freezes;
mod sources;

use super::super::log::Log;
use api::entry::{Fact, Head, Who};
use freezes::Freezes;
use policy::{EndReason, GrantId, HostName, Issuer, RequestId, SessionId, Subject};
use serde_json::Value;
use sources::Sources;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What entries may rest on, as it stands in them.
const RESTED_ON: [&str; 6] =
    ["\"login.opened\"", "\"login.ended\"", "\"server.started\"", "\"policy.", "\"freeze.", "\"certificates.revoked\""];

/// What was found.
#[derive(Debug)]
pub(in crate::commands::audit) struct Gathered {
    /// The grant. That of the request which is prolonged, where one was asked for that prolongs it.
    pub(super) grant: GrantId,
    /// The entries.
    pub(super) wanted: BTreeSet<u64>,
    /// Those among them that are certificates.
    pub(super) certificates: BTreeSet<u64>,
    /// Every id by which entries may speak of it.
    ids: HashSet<String>,
    serials: HashSet<u64>,
    sessions: HashSet<SessionId>,
    digests: HashSet<String>,
    /// In which entry the request was filed.
    filed: Option<u64>,
    /// Who decided.
    reviewers: HashSet<(Issuer, Subject)>,
    /// Whose it is.
    holder: Option<Who>,
    /// For which hosts.
    hosts: HashSet<HostName>,
    /// When it ends by itself, Unix seconds.
    until: u64,
    /// The entry with which somebody ended it before that.
    over: Option<u64>,
    /// The calls that revoked it.
    revoked_by: HashSet<String>,
    /// Those of which an entry tells what else they revoked.
    told: HashSet<String>,
}

/// Everything about `grant`.
pub(in crate::commands::audit) fn about(log: &Log, grant: &GrantId) -> anyhow::Result<Gathered> {
    let mut root = grant.clone();
    loop {
        let mut gathered = Gathered::of(&root);
        let mut prolongs = None;
        log.each(|index, text| {
            prolongs = prolongs.take().or(gathered.look(index, text));
            Ok(())
        })?;
        match prolongs {
            // What prolongs another is a part of that one's story.
            Some(prolonged) if prolonged.grant() != root => root = prolonged.grant(),
            _ => {
                gathered.complete(log)?;
                return Ok(gathered);
            }
        }
    }
}

impl Gathered {
    fn of(grant: &GrantId) -> Self {
        let mut gathered = Self {
            grant: grant.clone(),
            wanted: BTreeSet::new(),
            certificates: BTreeSet::new(),
            ids: HashSet::new(),
            serials: HashSet::new(),
            sessions: HashSet::new(),
            digests: HashSet::new(),
            filed: None,
            reviewers: HashSet::new(),
            holder: None,
            hosts: HashSet::new(),
            until: 0,
            over: None,
            revoked_by: HashSet::new(),
            told: HashSet::new(),
        };
        gathered.know(&grant.request());
        gathered
    }

    fn know(&mut self, request: &RequestId) {
        self.ids.insert(request.to_string());
        self.ids.insert(request.grant().to_string());
    }

    /// Takes the entry if it speaks of this. Answers the request that the one asked for prolongs, if this says so.
    fn look(&mut self, index: u64, text: &str) -> Option<RequestId> {
        let named = self.ids.iter().any(|id| text.contains(id.as_str()));
        if !named && (self.serials.is_empty() || !text.contains("\"serials\"")) {
            return None;
        }
        let value: Value = serde_json::from_str(text).ok()?;
        if !self.speaks(&value) {
            return None;
        }
        self.wanted.insert(index);
        self.sessions.extend(value.get("session").and_then(Value::as_str).and_then(|id| id.parse().ok()));
        self.digests.extend(value.get("policy_digest").and_then(Value::as_str).map(str::to_owned));
        let fact = serde_json::from_str(text).ok()?;
        if let Fact::Ended { step, .. } | Fact::Denied { step, .. } | Fact::Cancelled { step } = &fact
            && step.id == self.grant.request()
        {
            self.over = self.over.or(Some(index));
        }
        match fact {
            Fact::Certificate(certificate) if self.ids.contains(certificate.grant.as_str()) => {
                self.certificates.insert(index);
                self.serials.insert(certificate.serial.get());
                self.until = self.until.max(certificate.until.as_secs());
                self.hosts.insert(certificate.target.host().clone());
                self.holder = Some(certificate.actor);
            }
            Fact::Filed(filed) => {
                self.know(&filed.id);
                self.filed = self.filed.or(Some(index));
                self.until = self.until.max(filed.filed.expires.as_secs());
                self.hosts.extend(filed.filed.targets.iter().map(|target| target.host().clone()));
                self.holder = Some(filed.actor);
                return filed.filed.extends.filter(|_| filed.id == self.grant.request());
            }
            Fact::Approved { step, .. } => {
                self.reviewers.insert((step.actor.issuer, step.actor.subject));
            }
            // That of a step says nothing of how wide it was.
            Fact::Revoked(revoked) if revoked.named.is_some() => self.told.extend(cause(text)),
            Fact::Ended { why: EndReason::Revoked, .. } => self.revoked_by.extend(cause(text)),
            _ => {}
        }
        None
    }

    fn is_first_of_its_revocation(&mut self, text: &str) -> bool {
        cause(text).is_some_and(|cause| self.revoked_by.contains(&cause) && self.told.insert(cause))
    }

    /// Whether it is about one of the ids, or one of the serials: by the members that hold ids. What people write, a reason or
    /// a ticket, is about nothing, whatever they write.
    fn speaks(&self, entry: &Value) -> bool {
        const IDS: [&str; 6] = ["/id", "/grant", "/under", "/overdue", "/filed/id", "/filed/extends"];
        let is_id = |value: &Value| value.as_str().is_some_and(|id| self.ids.contains(id));
        let is_serial = |value: &Value| value.as_u64().is_some_and(|serial| self.serials.contains(&serial));
        let any_of = |list: &str, is: &dyn Fn(&Value) -> bool| {
            entry.get(list).and_then(Value::as_array).is_some_and(|all| all.iter().any(is))
        };
        IDS.iter().filter_map(|place| entry.pointer(place)).any(is_id)
            || any_of("pinned", &|pinned| pinned.get("id").is_some_and(is_id))
            || entry.get("serial").is_some_and(is_serial)
            || any_of("serials", &is_serial)
    }

    /// Takes what the entries rest on: logins, the CA's key, the policy sets with their texts; and what was frozen.
    fn complete(&mut self, log: &Log) -> anyhow::Result<()> {
        let judged = self.filed.unwrap_or(u64::MAX)..self.certificates.last().copied().unwrap_or(0);
        let mut sources = Sources::default();
        let mut freezes = Freezes::during(self);
        let mut started = None;
        let mut before = HashMap::new();
        log.each(|index, text| {
            if self.certificates.contains(&index) {
                self.wanted.extend(started);
            }
            if !RESTED_ON.iter().any(|code| text.contains(code)) {
                return Ok(());
            }
            match serde_json::from_str(text) {
                Ok(Fact::Started { .. }) => started = Some(index),
                Ok(Fact::Login(login)) => {
                    let person = (login.actor.issuer, login.actor.subject);
                    // Whoever approved is judged as of their last login before a certificate, and by the groups that they
                    // were in when the request was filed.
                    let reviews = self.reviewers.contains(&person);
                    if self.sessions.contains(&login.session) || reviews && judged.contains(&index) {
                        self.wanted.insert(index);
                    }
                    if reviews && index < judged.start {
                        before.insert(person, index);
                    }
                }
                Ok(Fact::LoginEnded { session, .. }) if self.sessions.contains(&session) => {
                    self.wanted.insert(index);
                }
                Ok(Fact::Source(part)) => sources.add(index, part.sha256, part.part, part.parts),
                Ok(Fact::Policies(set)) if self.digests.remove(&set.to) => {
                    let files = set.files.as_deref().unwrap_or_default();
                    self.wanted.insert(index);
                    self.wanted.extend(files.iter().flat_map(|file| sources.of(&file.sha256)));
                    if files.is_empty() {
                        // Of a version that recorded no texts; a later entry may.
                        self.digests.insert(set.to);
                    }
                }
                // One that revoked a person or a host names no grant, and no serial of one whose certificates had expired.
                Ok(Fact::Revoked(_)) if self.is_first_of_its_revocation(text) => {
                    self.wanted.insert(index);
                }
                Ok(fact @ (Fact::FreezeSet(_) | Fact::FreezeThawed(_) | Fact::FreezeStopped(_))) => {
                    freezes.look(index, text, &fact);
                }
                _ => {}
            }
            Ok(())
        })?;
        self.wanted.extend(before.into_values());
        self.wanted.extend(freezes.entries());
        Ok(())
    }
}

/// The call that was the cause of an entry.
fn cause(text: &str) -> Option<String> {
    serde_json::from_str(text).ok().map(|head: Head| head.request)
}
