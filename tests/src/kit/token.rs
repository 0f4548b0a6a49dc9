//! ID tokens got at the provider by hand, for stories that speak to the server without `jit-ssh`.

use super::{
    browser::{Browser, Person, http},
    idp::Idp,
};
use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use url::Url;

// Nothing listens there: the browser stops before it.
const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// An ID token for `name`, asked for by the client `client` with `nonce`, or without one where it is empty: the code grant with PKCE, step by step.
///
/// # Errors
/// If the provider gives none.
pub async fn id_token(idp: &Idp, client: &str, name: &str, nonce: &str) -> Result<String> {
    let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{nonce}{name}{client}")));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let mut url = Url::parse(&format!("{}/auth", idp.issuer))?;
    url.query_pairs_mut().extend_pairs([
        ("client_id", client),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid email groups"),
        ("state", "any"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    if !nonce.is_empty() {
        url.query_pairs_mut().append_pair("nonce", nonce);
    }
    let page = Browser::new()?.stopping_at(REDIRECT).visit(url.as_str(), Person::LogsIn(name)).await?;
    let code = page.url.query_pairs().find(|(name, _)| name == "code").with_context(|| format!("no code: {page:?}"))?.1;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("code_verifier", &verifier),
            ("code", &code),
        ])
        .finish();
    let request = http()?.post(format!("{}/token", idp.issuer)).body(form);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await?;
    let body: serde_json::Value = answer.json().await?;
    body.get("id_token").and_then(|token| token.as_str()).map(str::to_owned).with_context(|| format!("{body}"))
}
