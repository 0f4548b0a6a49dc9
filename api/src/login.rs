use policy::{Email, Group, Issuer, Kind, SessionId, Subject, UnixTime};

/// `POST /v1/login`: a token and the session key it is to be bound to.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The ID token of a person or the JWT of a workload. Used once.
    pub token: String,
    /// The session key: 32 bytes of Ed25519 public key, base64url without padding.
    pub session_key: String,
    /// The session key's signature over [`crate::signature::login_proof`], base64url without padding.
    pub proof: String,
}

/// What a login left behind.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct LoginResponse {
    /// The login session.
    pub session: SessionId,
    /// Who the server takes the caller for.
    pub identity: IdentityBody,
    /// It ends then, whatever happens.
    pub expires: UnixTime,
    /// It ends after so many seconds without a request.
    pub idle_seconds: u64,
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IdentityBody {
    /// Person or machine.
    pub kind: Kind,
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// The verified e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Groups, as policies see them.
    pub groups: Vec<Group>,
    /// More than one factor was used.
    pub mfa: bool,
    /// When the person last typed something at the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixTime>,
}

impl From<&policy::Identity> for IdentityBody {
    fn from(identity: &policy::Identity) -> Self {
        Self {
            kind: identity.kind,
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            email: identity.email.clone(),
            groups: identity.groups.clone(),
            mfa: identity.mfa,
            auth_time: identity.auth_time,
        }
    }
}
