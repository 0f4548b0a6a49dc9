use crate::Emergency;
use policy::{
    Cause, Explanation, GrantId, PolicyId, Reason, RequestId, Seconds, Serial, Target, Terms, Ticket, UnixTime, Unmet,
};

/// `POST /v1/certificates`: one certificate for one target.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// What to reach.
    pub target: Target,
    /// The user key, in OpenSSH's public form.
    pub public_key: String,
    /// Proof of possession of the user key: an SSHSIG (PEM) of namespace `user-key@jit-ssh` over
    /// [`crate::signature::user_key_proof`]. Needed the first time a login session names the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// For how long access is wanted; absent means as long as the policy allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// Under this request of the caller's and no other; duration, reason and ticket are then the request's. Absent: on
    /// standing access, or else under whichever approved request of the caller's covers the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
}

/// A certificate, released.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct CertificateResponse {
    /// The certificate, in OpenSSH's public form.
    pub certificate: String,
    /// Its serial.
    pub serial: Serial,
    /// The grant it was issued under.
    pub grant: GrantId,
    /// The policy that granted it.
    pub policy: PolicyId,
    /// `valid_before` of the certificate.
    pub expires: UnixTime,
    /// When the grant ends.
    pub until: UnixTime,
    /// The server's clock at issue.
    pub now: UnixTime,
}

/// What kind of answer a decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Yes.
    Granted,
    /// Yes, once people have approved.
    NeedsApproval,
    /// No.
    Denied,
}

/// A decision, with everything that led to it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct DecisionBody {
    /// Yes, not yet, or no.
    pub outcome: Outcome,
    /// The policies that made it.
    pub policies: Vec<PolicyId>,
    /// The terms it is, or would be, granted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// Other permits that would do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PolicyId>,
    /// Groups whose members may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approver_groups: Vec<String>,
    /// What kind of no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// `@advice` of the policies that forbade it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// Terms that the request does not meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Unmet>,
}

/// `POST /v1/explain`: the same question as for a certificate, without a key and without effect.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// What to reach.
    pub target: Target,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Under which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
}

/// Why, or why not.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ExplainResponse {
    /// What the decision would be now.
    pub decision: DecisionBody,
    /// Which policies matched, which nearly did.
    pub explanation: Explanation,
    /// What breaking the glass would give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Emergency>,
}

impl From<&policy::Decision> for DecisionBody {
    fn from(decision: &policy::Decision) -> Self {
        let none = Self {
            outcome: Outcome::Denied,
            policies: Vec::new(),
            terms: None,
            others: Vec::new(),
            approver_groups: Vec::new(),
            cause: None,
            advice: Vec::new(),
            unmet: Vec::new(),
        };
        match decision {
            policy::Decision::Granted(grant) => Self {
                outcome: Outcome::Granted,
                policies: vec![grant.policy().clone()],
                terms: Some(grant.terms().clone()),
                others: grant.others().to_vec(),
                ..none
            },
            policy::Decision::NeedsApproval(needs) => Self {
                outcome: Outcome::NeedsApproval,
                policies: vec![needs.terms.policy.clone()],
                terms: Some(needs.terms.clone()),
                others: needs.others.clone(),
                approver_groups: needs.approver_groups.clone(),
                ..none
            },
            policy::Decision::Denied(denied) => Self {
                policies: denied.policies.clone(),
                cause: Some(denied.cause),
                advice: denied.advice.clone(),
                unmet: denied.unmet.clone(),
                ..none
            },
        }
    }
}
