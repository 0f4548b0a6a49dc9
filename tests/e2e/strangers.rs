//! What reaches the server's API from whoever does not belong there: without a login, with another's, with one that is
//! over, with a request that was seen before, with one that was changed on the way.

use anyhow::{Context as _, Result};
use api::{CertificateResponse, Code, SessionsResponse, paths};
use ca_server::{
    audit::Entry,
    http::{Listener, Need, ROUTES},
    store::{LoginSession, Store as _, TokenUse, redb::RedbStore},
};
use e2e::kit::{
    caller::{self, Caller, Signed, now_ms},
    server::{LOOSE, people},
    world::World,
};
use policy::{Seconds, SessionId, UnixTime};

/// Every route that needs a login, with a path and a body that would do.
fn closed_routes(caller: &Caller, world: &World) -> Result<Vec<(String, String, Vec<u8>)>> {
    let closed = ROUTES.iter().filter(|route| route.need == Need::Login);
    let filled = closed.map(|route| {
        assert_eq!(route.listener, Listener::Api, "{} needs a login and is not on the API's address", route.path);
        let path = route.path.replace("{id}", caller.session.as_str());
        let body = match path.as_str() {
            paths::CERTIFICATES => caller.certificate_body(&world.target())?,
            paths::REQUESTS if route.method == "POST" => {
                format!("{{\"targets\":[\"{}\"],\"dry_run\":true}}", world.target()).into_bytes()
            }
            path if path.ends_with("/approvals") => format!("{{\"digest\":\"{}\"}}", "0".repeat(64)).into_bytes(),
            path if path.ends_with("/denials") => br#"{"reason":"no"}"#.to_vec(),
            path if path.ends_with("/review") => br#"{"verdict":"fine","reason":"x"}"#.to_vec(),
            path if path.ends_with("/end") => br#"{"why":"done"}"#.to_vec(),
            path if path.ends_with("/thaw") => br#"{"reason":"x"}"#.to_vec(),
            paths::REVOCATIONS => br#"{"scope":{"host":"web-1"},"reason":"x"}"#.to_vec(),
            paths::FREEZES if route.method == "POST" => br#"{"scope":"everything","reason":"x"}"#.to_vec(),
            paths::EXPLAIN => format!("{{\"target\":\"{}\"}}", world.target()).into_bytes(),
            _ => Vec::new(),
        };
        Ok((route.method.to_string(), path, body))
    });
    filled.collect()
}

/// Routes that end the session they are called in come last: the others are asked before.
fn gentle_first(mut routes: Vec<(String, String, Vec<u8>)>) -> Vec<(String, String, Vec<u8>)> {
    routes.sort_by_key(|(method, path, _)| (method == "DELETE", path == paths::SESSION));
    routes
}

#[tokio::test]
async fn every_route_is_closed_to_whoever_is_not_logged_in() -> Result<()> {
    let world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let mallory = Caller::login(&world.server, &world.idp, "mallory").await?;
    let nobody = Caller { session: SessionId::from_random([7; 12]), key: caller::fresh_key()? };
    let borrowed = Caller { session: alice.session.clone(), key: mallory.key.clone() };
    let routes = closed_routes(&alice, &world)?;
    assert!(routes.len() >= 7, "{routes:?}");
    for (method, path, body) in &routes {
        let named = format!("{method} {path}");
        let without = caller::send(&world.server, method, path, None, body.clone()).await?;
        assert_eq!((without.status, without.code()), (401, Some(Code::LoginRequired)), "{named}: {without:?}");
        for header in ["", "Bearer x", "Basic YTpi", "JitSSH1 session=s-1", "JitSSH1"] {
            let garbage = caller::send(&world.server, method, path, Some(header), body.clone()).await?;
            assert_eq!(garbage.status, 401, "{named} with {header:?}: {garbage:?}");
        }
        let unknown = nobody.ask(&world.server, method, path, body).await?;
        assert_eq!((unknown.status, unknown.code()), (401, Some(Code::LoginRequired)), "{named}: {unknown:?}");
        let stolen = borrowed.ask(&world.server, method, path, body).await?;
        assert_eq!(stolen.status, 401, "{named} with another's key: {stolen:?}");
        assert!(stolen.code() != Some(Code::Replayed), "{named}: {stolen:?}");
    }
    // None of it did anything: alice is still logged in.
    alice.ask(&world.server, "GET", paths::SESSION, b"").await?.good::<api::SessionEntry>()?;
    Ok(())
}

#[tokio::test]
async fn every_route_refuses_a_request_that_was_changed_on_the_way() -> Result<()> {
    let world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    for (method, path, body) in closed_routes(&alice, &world)? {
        let good = alice.sign(&method, &path, &body)?;
        let flipped = {
            let mut text = good.authorization.clone().into_bytes();
            let at = text.len() - 40;
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(text)?
        };
        let elsewhere = {
            let request =
                api::signature::Request { audience: "http://other.example", method: &method, path: &path, body: &body };
            request.sign(&alice.key, &alice.session, now_ms(), api::signature::Nonce([9; 16])).to_string()
        };
        let changes = [
            ("signature", Signed { authorization: flipped, ..good.clone() }),
            ("query", Signed { path: format!("{path}?a=b"), ..good.clone() }),
            ("body", Signed { body: [body.as_slice(), b" "].concat(), ..good.clone() }),
            ("method", alice.sign(if method == "GET" { "DELETE" } else { "GET" }, &path, &body)?),
            ("path", alice.sign(&method, "/v1/about", &body)?),
            ("audience", Signed { authorization: elsewhere, ..good.clone() }),
        ];
        for (what, signed) in changes {
            let sent = Signed {
                method: method.clone(),
                path: if what == "path" { path.clone() } else { signed.path },
                ..signed
            };
            let answer = sent.send(&world.server).await?;
            // Where there is no body to sign, one is refused before anybody asks who sent it.
            let bodiless = what == "body" && method != "POST";
            let expected = if bodiless { Code::BadRequest } else { Code::BadSignature };
            assert_eq!(answer.code(), Some(expected), "{method} {path}, {what} changed: {answer:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_signed_request_is_worth_something_once_and_now() -> Result<()> {
    let world = World::new().await?;
    let began = now_ms();
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let other = Caller::login(&world.server, &world.idp, "alice").await?;
    // Ends the other session of the same person, so that the signing one lives to replay it.
    let mut routes = gentle_first(closed_routes(&alice, &world)?);
    for (_, path, _) in &mut routes {
        *path = path.replace(alice.session.as_str(), other.session.as_str());
    }
    for (method, path, body) in routes {
        for wrong in [began - 120_000, now_ms() - 61_000, now_ms() + 62_000] {
            let answer = alice.sign_at(&method, &path, &body, wrong)?.send(&world.server).await?;
            assert_eq!(answer.code(), Some(Code::ClockSkew), "{method} {path} at {wrong}: {answer:?}");
            assert!(answer.body.contains("server_time_ms"), "{answer:?}");
        }
        let signed = alice.sign(&method, &path, &body)?;
        let first = signed.send(&world.server).await?;
        // No request has the id of a session; whoever asks for one is known by then all the same.
        let known = match first.code() {
            Some(Code::NotFound) => path.starts_with(paths::REQUESTS) || path.starts_with(paths::FREEZES),
            // Known, and no administrator.
            Some(Code::Denied) => path.starts_with(paths::REVOCATIONS) || path.starts_with(paths::FREEZES),
            _ => false,
        };
        let passed = first.status < 300 || known;
        assert!(passed, "{method} {path}: {first:?}");
        let again = signed.send(&world.server).await?;
        let ended = method == "DELETE" && path == paths::SESSION;
        let expected = if ended { Code::LoginRequired } else { Code::Replayed };
        assert_eq!(again.code(), Some(expected), "{method} {path}: {again:?}");
    }
    Ok(())
}

/// The server forgets its nonces when it stops, so it takes no request from before its start.
#[tokio::test]
async fn a_restart_does_not_make_a_request_worth_something_again() -> Result<()> {
    let world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let signed = alice.sign("POST", paths::CERTIFICATES, &alice.certificate_body(&world.target())?)?;
    signed.send(&world.server).await?.good::<CertificateResponse>()?;
    let world = world.restart_server().await?;
    let again = signed.send(&world.server).await?;
    assert_eq!(again.code(), Some(Code::ClockSkew), "{again:?}");
    // The login itself outlives the restart.
    alice.ask(&world.server, "GET", paths::SESSION, b"").await?.good::<api::SessionEntry>()?;
    Ok(())
}

#[tokio::test]
async fn every_route_is_closed_to_a_login_that_has_run_out_or_was_ended() -> Result<()> {
    let mut world = World::new().await?;
    let ended = Caller::login(&world.server, &world.idp, "alice").await?;
    assert_eq!(ended.ask(&world.server, "DELETE", paths::SESSION, b"").await?.status, 204);

    // A session that ran out an hour ago and one that nobody used for too long, put where the server finds them.
    let live = Caller::login(&world.server, &world.idp, "alice").await?;
    let home = world.server.stop().await?;
    let (run_out, idle) = {
        let store = RedbStore::open(&home.path("jit-ssh.redb"), &home.seal()?)?;
        let session = store.session(&live.session).await?.context("the live session")?;
        let now = UnixTime::from_secs(now_ms() / 1000);
        let hour = Seconds::new(3600);
        let run_out =
            LoginSession { started: now.minus(Seconds::new(7200)), expires: now.minus(hour), ..session.clone() };
        let idle = LoginSession { used: now.minus(Seconds::new(86_400)), idle_seconds: 3600, ..session };
        let mut callers = Vec::new();
        for (number, session) in [(1u8, run_out), (2, idle)] {
            let key = caller::fresh_key()?;
            let id = SessionId::from_random([number; 12]);
            let kept = LoginSession { id: id.clone(), key: key.verifying_key().to_bytes(), ..session };
            let token = TokenUse { digest: [number; 32], forget: now.plus(hour) };
            store.open_session(kept, token, 20, Entry::from_bytes(b"{}".to_vec())).await?;
            callers.push(Caller { session: id, key });
        }
        (callers.remove(0), callers.remove(0))
    };
    world.server = home.start().await?;
    for (what, caller) in [("ended", &ended), ("run out", &run_out), ("idle", &idle)] {
        for (method, path, body) in closed_routes(caller, &world)? {
            let answer = caller.ask(&world.server, &method, &path, &body).await?;
            assert_eq!(answer.code(), Some(Code::LoginRequired), "{what}, {method} {path}: {answer:?}");
        }
    }
    live.ask(&world.server, "GET", paths::SESSION, b"").await?.good::<api::SessionEntry>()?;
    Ok(())
}

/// CVE-2025-66406: a token that was bound to one object ended any.
#[tokio::test]
async fn cve_2025_66406_nobody_ends_anothers_login() -> Result<()> {
    let world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let mallory = Caller::login(&world.server, &world.idp, "mallory").await?;
    let theirs = format!("{}/{}", paths::SESSIONS, alice.session);
    let missing = format!("{}/{}", paths::SESSIONS, SessionId::from_random([9; 12]));
    let refused = mallory.ask(&world.server, "DELETE", &theirs, b"").await?;
    let absent = mallory.ask(&world.server, "DELETE", &missing, b"").await?;
    assert_eq!(refused.code(), Some(Code::NotFound), "{refused:?}");
    assert_eq!(absent.code(), refused.code(), "whether it exists is nobody's business");
    for id in ["..", "%2e%2e", "s-", "*", "s-00112233445566778899aabb%00"] {
        let answer = mallory.ask(&world.server, "DELETE", &format!("{}/{id}", paths::SESSIONS), b"").await?;
        assert!((400..500).contains(&answer.status), "{id}: {answer:?}");
    }
    let mine = alice.ask(&world.server, "GET", paths::SESSIONS, b"").await?.good::<SessionsResponse>()?;
    assert_eq!(mine.sessions.len(), 1, "alice sees her own and it lives: {mine:?}");
    assert_eq!(mine.sessions[0].session, alice.session);
    Ok(())
}

/// What is for operators is not on the address that everybody reaches, and the other way round.
#[tokio::test]
async fn each_address_serves_its_own_routes_alone() -> Result<()> {
    let world = World::new().await?;
    for route in ROUTES
        .iter()
        .filter(|route| route.need == Need::Nothing && route.method == "GET" && !route.path.contains("{id}"))
    {
        for (base, here) in [(&world.server.url, Listener::Api), (&world.server.ops, Listener::Ops)] {
            let query = match route.path {
                paths::CONSISTENCY => "?from=0&to=1",
                paths::INCLUSION => "?index=0&size=1",
                _ => "",
            };
            let answer = e2e::kit::browser::http()?.get(format!("{base}{}{query}", route.path)).send().await?;
            let expected = if route.listener == here || route.listener == Listener::Both { 200 } else { 404 };
            assert_eq!(answer.status(), expected, "{} at {base}", route.path);
            // A KRL may be kept, as long as whoever keeps it asks each time whether it is still the newest.
            let kept = if expected == 200 && route.path == paths::KRL { "no-cache" } else { "no-store" };
            assert_eq!(answer.headers()["cache-control"], kept, "{}", route.path);
        }
    }
    Ok(())
}

/// One address cannot ask as fast as it likes, whatever it says about where it comes from.
#[tokio::test]
async fn strangers_are_held_to_a_rate_and_cannot_talk_their_way_out() -> Result<()> {
    let mut world = World::new().await?;
    let home = world.server.stop().await?;
    let tight = "requests_per_second = 1\nrequest_burst = 20\nlogins_per_minute = 1\nlogin_burst = 3\n";
    assert_ne!(tight, LOOSE);
    home.configure(&people(&world.idp.issuer), tight)?;
    world.server = home.start().await?;
    let http = e2e::kit::browser::http()?;
    let mut limited = 0;
    for number in 0..40 {
        let request = http.get(format!("{}/v1/about", world.server.url));
        let answer = request.header("x-forwarded-for", format!("203.0.113.{number}")).send().await?;
        if answer.status() == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            limited += 1;
        }
    }
    assert!((15..=20).contains(&limited), "{limited} of 40 were refused");
    Ok(())
}

/// The proof of possession of a user key, the key's owner and the key's kind, each asked for at the door.
#[tokio::test]
async fn only_ones_own_proven_sound_key_is_certified() -> Result<()> {
    use ssh_key::{PrivateKey, private::Ed25519Keypair};
    let world = World::new().await?;
    let (server, target) = (&world.server, world.target());
    let alice = Caller::login(server, &world.idp, "alice").await?;
    let again = Caller::login(server, &world.idp, "alice").await?;
    let vera = Caller::login(server, &world.idp, "vera").await?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[42; 32]));
    let good = alice.certificate_request(&target, &key)?;
    let ask = async |caller: &Caller, request: &api::CertificateRequest| {
        caller.ask(server, "POST", paths::CERTIFICATES, &serde_json::to_vec(request)?).await
    };

    let unproven = api::CertificateRequest { proof: None, ..good.clone() };
    assert_eq!(ask(&alice, &unproven).await?.code(), Some(Code::ProofRequired));
    // A proof is for one login session: another's, even one's own other one, proves nothing.
    assert_eq!(ask(&again, &good).await?.code(), Some(Code::ProofRequired));
    assert_eq!(ask(&vera, &good).await?.code(), Some(Code::ProofRequired));
    ask(&alice, &good).await?.good::<CertificateResponse>()?;
    ask(&alice, &unproven).await?.good::<CertificateResponse>().context("proven once is proven for this session")?;
    // The key is alice's now, also for whoever holds it as well.
    let taken = ask(&vera, &vera.certificate_request(&target, &key)?).await?;
    assert_eq!(taken.code(), Some(Code::KeyRefused), "{taken:?}");

    // The CA's own keys, whoever holds them; a certificate in place of a key; a key that is too weak; no key.
    for name in ["keys/user_ca", "keys/host_ca", "keys/log"] {
        let ca = PrivateKey::read_openssh_file(server.home.path(name))?;
        let answer = ask(&alice, &alice.certificate_request(&target, &ca)?).await?;
        assert_eq!(answer.code(), Some(Code::KeyRefused), "{name}: {answer:?}");
    }
    let dir = tempfile::tempdir()?;
    let rsa = e2e::kit::keygen::key(&dir.path().join("rsa"), "rsa:2048").await?;
    let certified = ask(&alice, &good).await?.good::<CertificateResponse>()?.certificate;
    for (what, public) in
        [("CVE-2025-49825 a certificate", certified), ("RSA of 2048 bits", rsa), ("nothing", String::new())]
    {
        let answer = ask(&alice, &api::CertificateRequest { public_key: public, ..good.clone() }).await?;
        assert_eq!(answer.code(), Some(Code::KeyRefused), "{what}: {answer:?}");
    }
    // The audience of a proof is this server.
    let text = api::signature::user_key_proof("http://other.example", &alice.session);
    let other = PrivateKey::from(Ed25519Keypair::from_seed(&[43; 32]));
    let proof = other.sign(api::signature::USER_KEY_NAMESPACE, ssh_key::HashAlg::Sha512, &text)?;
    let elsewhere = api::CertificateRequest {
        public_key: other.public_key().to_openssh()?,
        proof: Some(proof.to_pem(ssh_key::LineEnding::LF)?),
        ..good
    };
    assert_eq!(ask(&alice, &elsewhere).await?.code(), Some(Code::ProofRequired));
    Ok(())
}
