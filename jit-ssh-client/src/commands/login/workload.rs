//! A workload's token: from a file, from the environment, or from GitHub's token service.

use crate::{ca_client::CaClient, cli::Token, error::Failure, settings, web};
use std::{fs::File, io::Read, path::Path};
use url::Url;
use zeroize::Zeroizing;

/// No JWT is longer.
const LARGEST: u64 = 32 * 1024;
/// Where a Kubernetes pod's manifest is told to project its token (docs/CLIENT.md).
const PROJECTED: &str = "/var/run/secrets/jit-ssh/token";

/// The token that the flags ask for; none if they ask for a person's login.
///
/// # Errors
/// If it is not where they say.
pub fn token(from: &Token, ca: &CaClient, audience: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let token = if let Some(path) = &from.token_file {
        read(path)?
    } else if let Some(name) = &from.token_env {
        variable(name)?
    } else if from.github_actions {
        github(ca, audience)?
    } else if from.workload {
        whatever(ca, audience)?
    } else {
        return Ok(None);
    };
    Ok(Some(token))
}

fn whatever(ca: &CaClient, audience: &str) -> Result<Zeroizing<String>, Failure> {
    if std::env::var_os("JIT_SSH_ID_TOKEN").is_some() {
        variable("JIT_SSH_ID_TOKEN")
    } else if std::env::var_os("ACTIONS_ID_TOKEN_REQUEST_URL").is_some() {
        github(ca, audience)
    } else if Path::new(PROJECTED).exists() {
        read(Path::new(PROJECTED))
    } else {
        Err(Failure::failed("there is no workload token here")
            .hint(format!("set JIT_SSH_ID_TOKEN, project a token to {PROJECTED}, or name one: --token-file FILE")))
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed =
        |error: std::io::Error| Failure::failed(format!("cannot read the token from {}: {error}", path.display()));
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    let mut text = Zeroizing::new(String::new());
    source.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    trimmed(&text)
}

fn variable(name: &str) -> Result<Zeroizing<String>, Failure> {
    let text = std::env::var(name).map_err(|_absent| Failure::failed(format!("the variable {name} holds no token")))?;
    trimmed(&Zeroizing::new(text))
}

fn trimmed(text: &str) -> Result<Zeroizing<String>, Failure> {
    let token = text.trim();
    let looks_right =
        token.split('.').count() == 3 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=".contains(&b));
    if looks_right { Ok(Zeroizing::new(token.to_owned())) } else { Err(Failure::failed("that is no JWT")) }
}

/// <https://docs.github.com/en/actions/reference/security/oidc>: the job's own token, for our audience.
fn github(ca: &CaClient, audience: &str) -> Result<Zeroizing<String>, Failure> {
    let variable = |name: &str| {
        std::env::var(name).map_err(|_absent| {
            Failure::failed(format!("{name} is not set: this is no GitHub Actions job that may ask for a token"))
                .hint("give the job `permissions: id-token: write`")
        })
    };
    let mut url = Url::parse(&variable("ACTIONS_ID_TOKEN_REQUEST_URL")?)
        .ok()
        .filter(settings::safe)
        .ok_or_else(|| Failure::failed("ACTIONS_ID_TOKEN_REQUEST_URL is no https address"))?;
    url.query_pairs_mut().append_pair("audience", audience);
    let bearer = Zeroizing::new(variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?);
    let http = web::client(url.scheme() == "https", None)?;
    let bytes = ca.wait(async {
        let response =
            http.get(url).bearer_auth(bearer.as_str()).send().await.map_err(|error| web::unreachable_by(&error))?;
        if !response.status().is_success() {
            return Err(Failure::failed(format!("GitHub gives no token: HTTP {}", response.status().as_u16())));
        }
        web::body(response).await
    })?;
    #[derive(serde::Deserialize)]
    struct Answer {
        value: String,
    }
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_odd| Failure::failed("GitHub's answer holds no token"))?;
    trimmed(&Zeroizing::new(answer.value))
}
