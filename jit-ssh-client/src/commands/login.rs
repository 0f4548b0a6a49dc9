//! `jit-ssh login`: a fresh session key → the issuer → a login session.

use super::{Globals, logout, setup};
use crate::{
    ca_client::CaClient,
    cli, clock,
    error::Failure,
    keys,
    oidc::{self, Opening},
    settings::Settings,
    state::{StateDir, session::Session},
    terminal, web,
};
use api::{About, IssuerAbout, LoginRequest, signature::login_proof};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

mod workload;

/// Logs in.
///
/// # Errors
/// If the issuer, the person or the CA refuses.
pub fn run(globals: &Globals, args: &cli::Login) -> Result<(), Failure> {
    let state = StateDir::open()?;
    let ca = CaClient::new(globals.server()?, globals.ca_file()?.as_deref())?;
    let about = ca.about()?;
    let clock_offset_ms = clock::offset_ms(about.time_ms);
    let key = keys::session_key()?;
    let token = token(globals, args, &ca, &about, &key)?;
    let proof = key.sign(&login_proof(&about.audience, &token));
    let answer = ca.login(&LoginRequest {
        token: token.to_string(),
        session_key: keys::encode_public(&key.verifying_key()),
        proof: URL_SAFE_NO_PAD.encode(proof.to_bytes()),
    })?;
    // The former session would live on unseen at its server, and its certificates in the agent.
    logout::forget_former(&state);
    let session = Session::new(ca.server(), globals.ca_file()?, &about, answer, &key, clock_offset_ms);
    session.save(&state)?;
    if globals.server.is_some() {
        Settings::remember(ca.server())?;
    }
    setup::refresh(&ca, &session, &state);
    report(globals, &session);
    if about.audience != session.server {
        terminal::say(&format!("  the CA calls itself {}", terminal::plain(&about.audience)));
    }
    Ok(())
}

fn token(
    globals: &Globals,
    args: &cli::Login,
    ca: &CaClient,
    about: &About,
    key: &SigningKey,
) -> Result<Zeroizing<String>, Failure> {
    if let Some(token) = workload::token(&args.token, ca, &about.audience)? {
        return Ok(token);
    }
    let issuer = chosen(about, args.issuer.as_deref())?;
    // The issuer may be anywhere on the web, so this client has the system's roots even where the CA is on loopback.
    let tls = !issuer.issuer.as_str().starts_with("http://");
    let http = web::client(tls, globals.ca_file()?.as_deref())?;
    let public = key.verifying_key();
    let token = if args.device {
        ca.wait(oidc::with_device(issuer, http, &public))?
    } else {
        let opening = if args.no_browser { Opening::ByHand } else { Opening::Browser };
        ca.wait(oidc::with_browser(issuer, http, &public, opening))?
    };
    Ok(Zeroizing::new(token))
}

fn chosen<'a>(about: &'a About, named: Option<&str>) -> Result<&'a IssuerAbout, Failure> {
    let names = || about.issuers.iter().map(|issuer| issuer.name.as_str()).collect::<Vec<_>>().join(", ");
    match named {
        None => about.issuers.first().ok_or_else(|| {
            Failure::failed("the CA names no issuer at which people log in").hint("as a workload: --token-file FILE")
        }),
        Some(named) => {
            about.issuers.iter().find(|issuer| issuer.name == named || issuer.issuer.as_str() == named).ok_or_else(
                || Failure::usage(format!("the CA knows no issuer {named}")).hint(format!("one of: {}", names())),
            )
        }
    }
}

fn report(globals: &Globals, session: &Session) {
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "session": session.session,
            "server": session.server,
            "identity": session.identity,
            "expires": session.expires,
            "idle_seconds": session.idle_seconds,
        }));
        return;
    }
    let identity = &session.identity;
    let name = identity.email.as_ref().map_or(identity.subject.as_str(), |email| email.as_str());
    terminal::say(&format!(
        "{} Logged in at {} as {}",
        terminal::green("ok"),
        session.server,
        terminal::bold(&terminal::plain(name))
    ));
    let groups: Vec<&str> = identity.groups.iter().map(policy::Group::as_str).collect();
    if !groups.is_empty() {
        terminal::say(&format!("  groups: {}", terminal::plain(&groups.join(", "))));
    }
    let left = clock::left(clock::at_server(session.clock_offset_ms), session.expires);
    terminal::say(&format!("  until {} (in {left})", clock::rfc3339(session.expires)));
}
