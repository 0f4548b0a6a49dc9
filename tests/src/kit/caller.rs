//! Somebody who speaks to the server's API without `jit-ssh`: honestly, or not.

use super::{
    browser::http,
    idp::Idp,
    server::{AUDIENCE, Server},
    token::id_token,
};
use anyhow::{Context as _, Result, ensure};
use api::{
    CertificateRequest, Code, ErrorBody, LoginRequest, LoginResponse, paths,
    signature::{self, Nonce, Request, USER_KEY_NAMESPACE},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use policy::SessionId;
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

/// A caller with a login session.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The session.
    pub session: SessionId,
    /// Its key.
    pub key: SigningKey,
}

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The stable code of a refusal; none if it is no refusal.
    pub fn code(&self) -> Option<Code> {
        serde_json::from_str::<ErrorBody>(&self.body).ok().map(|body| body.error.code)
    }

    /// The body as `T`, if the answer is a good one.
    ///
    /// # Errors
    /// With the whole answer, if it is not.
    pub fn good<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        ensure!(self.status == 200, "{self:?}");
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

/// A request ready to be sent, or to be tampered with.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// The `Authorization` header.
    pub authorization: String,
}

impl Caller {
    /// Logs in as `name`.
    ///
    /// # Errors
    /// If provider or server refuse.
    pub async fn login(server: &Server, idp: &Idp, name: &str) -> Result<Self> {
        let key = fresh_key()?;
        let token = id_token(idp, "jit-ssh", name, &signature::login_nonce(&key.verifying_key())).await?;
        let answer = login_with(server, &token, &key).await?;
        let session = answer.good::<LoginResponse>()?.session;
        Ok(Self { session, key })
    }

    /// Signs a request as of now, with a fresh nonce.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn sign(&self, method: &str, path: &str, body: &[u8]) -> Result<Signed> {
        self.sign_at(method, path, body, now_ms())
    }

    /// Signs a request as of `time_ms`.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn sign_at(&self, method: &str, path: &str, body: &[u8], time_ms: u64) -> Result<Signed> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(anyhow::Error::msg)?;
        let request = Request { audience: AUDIENCE, method, path, body };
        let authorization = request.sign(&self.key, &self.session, time_ms, Nonce(nonce)).to_string();
        Ok(Signed { method: method.to_owned(), path: path.to_owned(), body: body.to_vec(), authorization })
    }

    /// Signs and sends.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn ask(&self, server: &Server, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        self.sign(method, path, body)?.send(server).await
    }

    /// The body of a request for a certificate for `target`, with a fresh user key and the proof of its possession.
    ///
    /// # Errors
    /// If the target is none.
    pub fn certificate_body(&self, target: &str) -> Result<Vec<u8>> {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&fresh_key()?.to_bytes()));
        Ok(serde_json::to_vec(&self.certificate_request(target, &key)?)?)
    }

    /// A request for a certificate for `target` and `key`, with the proof of its possession.
    ///
    /// # Errors
    /// If the target is none, or the key cannot sign.
    pub fn certificate_request(&self, target: &str, key: &PrivateKey) -> Result<CertificateRequest> {
        let text = signature::user_key_proof(AUDIENCE, &self.session);
        let proof = key.sign(USER_KEY_NAMESPACE, HashAlg::Sha512, &text)?.to_pem(LineEnding::LF)?;
        Ok(CertificateRequest {
            target: target.parse()?,
            public_key: key.public_key().to_openssh()?,
            proof: Some(proof),
            duration: None,
            reason: None,
            ticket: None,
            request: None,
        })
    }
}

impl Signed {
    /// Sends it as it is.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn send(&self, server: &Server) -> Result<Answer> {
        send(server, &self.method, &self.path, Some(&self.authorization), self.body.clone()).await
    }
}

/// Sends a request.
///
/// # Errors
/// If the server does not answer.
pub async fn send(
    server: &Server,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: Vec<u8>,
) -> Result<Answer> {
    let mut request = http()?.request(method.parse()?, format!("{}{path}", server.url));
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(body);
    }
    let answer = request.send().await?;
    Ok(Answer { status: answer.status().as_u16(), body: answer.text().await? })
}

/// Logs in with this token and key.
///
/// # Errors
/// If the server does not answer.
pub async fn login_with(server: &Server, token: &str, key: &SigningKey) -> Result<Answer> {
    let proof = key.sign(&signature::login_proof(AUDIENCE, token)).to_bytes();
    let request = LoginRequest {
        token: token.to_owned(),
        session_key: URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()),
        proof: URL_SAFE_NO_PAD.encode(proof),
    };
    send(server, "POST", paths::LOGIN, None, serde_json::to_vec(&request)?).await
}

/// A fresh Ed25519 key.
///
/// # Errors
/// If there is no randomness.
pub fn fresh_key() -> Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(anyhow::Error::msg)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The machine's clock, which the server reads as well.
pub fn now_ms() -> u64 {
    use ca_server::clock::{Clock as _, SystemClock};
    SystemClock.now_ms()
}
