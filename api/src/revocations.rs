use policy::{FreezeId, Frozen, GrantId, HostName, Issuer, PolicyId, Reason, Serial, Subject, UnixTime};

/// Somebody, as people call them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    /// The verified e-mail address or the subject.
    pub name: Subject,
    /// At this issuer only, where several know somebody by that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
}

/// What to revoke: `{"user": {"name": "ann@example.com"}}`, `{"host": "web-1"}`, ….
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// This grant.
    Grant(GrantId),
    /// Everything that somebody holds, under all accounts that are known to be theirs.
    User(Whose),
    /// Everything on this host.
    Host(HostName),
    /// Everything that this permit granted.
    Policy(PolicyId),
    /// This certificate.
    Serial(Serial),
    /// Everything of everybody whom this issuer vouches for.
    Issuer(Issuer),
}

/// `POST /v1/revocations` → [`crate::Receipt`].
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// What.
    pub scope: Scope,
    /// Why.
    pub reason: Reason,
}

/// What to freeze: `{"user": {"name": "ann@example.com"}}`, `{"host": "web-1"}`, `"everything"`, ….
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeScope {
    /// A person, under all accounts that are known to be theirs.
    User(Whose),
    /// A machine.
    Workload(Whose),
    /// A host.
    Host(HostName),
    /// Everything.
    Everything,
}

/// `POST /v1/freezes`: nothing is issued any more until two people thaw it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeRequest {
    /// What.
    pub scope: FreezeScope,
    /// Why.
    pub reason: Reason,
}

/// `POST /v1/freezes/{id}/thaw`: one of two people says that it may go on.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThawRequest {
    /// Why.
    pub reason: Reason,
}

/// A freeze.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FreezeBody {
    /// Its id.
    pub id: FreezeId,
    /// What is frozen.
    pub frozen: Frozen,
    /// Since when.
    pub at: UnixTime,
    /// Who froze it: e-mail or subject. For those who may administer or audit, as the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who said so far that it may go on: e-mail or subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thawed_by: Vec<String>,
    /// Whether it is over: two people thawed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thawed: bool,
    /// How many certificates that were issued before still live. Told when it is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<u64>,
    /// When the last of them expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_expiry: Option<UnixTime>,
}

/// `GET /v1/freezes`: those in force, oldest first. Who may neither administer nor audit sees those that stop them everywhere.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FreezesResponse {
    /// They.
    pub freezes: Vec<FreezeBody>,
}
