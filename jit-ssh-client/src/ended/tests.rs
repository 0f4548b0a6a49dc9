use super::*;
use crate::{
    agent::tests::RealAgent,
    ca_client::tests::{answer_with, serving, session},
    screen::tests::request,
};

/// A directory that holds a live certificate's entry, of the request that [`request`] makes.
fn certs() -> (tempfile::TempDir, StateDir, Certs) {
    let outer = tempfile::tempdir().unwrap();
    let state = StateDir::at(outer.path().join("state")).unwrap();
    let certs = Certs::open(&state).unwrap();
    certs.save(&entry(), "ssh-ed25519-cert-v01@openssh.com AAAA").unwrap();
    (outer, state, certs)
}

fn entry() -> Entry {
    let now = clock::now().as_secs();
    Entry {
        target: "deploy@db-1".parse().unwrap(),
        grant: "g-00112233445566778899aabb".parse().unwrap(),
        policy: "db/approval".parse().unwrap(),
        ..crate::state::certs::tests::entry(now, now + 300, now + 3600)
    }
}

fn over(how: &str) -> RequestBody {
    let mut body = request("x");
    body.stage = serde_json::from_value(serde_json::json!({ "stage": "over", "how": how })).unwrap();
    body.steps[0].what = how.to_owned();
    body.steps[0].reason = Some("not tonight".parse().unwrap());
    body
}

#[test]
fn what_somebody_ended_goes_and_it_is_said_who_did() {
    let (session, _key) = session(&"http://127.0.0.1:1".parse().unwrap());
    for (how, told) in [
        ("denied", "denied by lena@corp.example: not tonight"),
        ("revoked", "revoked by lena@corp.example: not tonight"),
        ("done", "given back by lena@corp.example: not tonight"),
    ] {
        let (_outer, _state, certs) = certs();
        let real = RealAgent::start();
        let ended = learn_with(|| Ok(real.connect()), &certs, &session, &[over(how)]);
        assert_eq!(ended.len(), 1, "{how}");
        assert_eq!(line(&ended[0]), format!("deploy@db-1 is over: {told} (removed from the agent)"));
        assert!(certs.all().is_empty(), "{how}: it is still used");
        assert!(learn(&certs, &session, &[over(how)]).is_empty(), "told once");
    }
}

/// The agent that holds it may be that of another session: whoever comes from there must still find it.
#[test]
fn without_an_agent_nothing_is_forgotten_and_nothing_is_said_to_be_removed() {
    let (session, _key) = session(&"http://127.0.0.1:1".parse().unwrap());
    let (_outer, _state, certs) = certs();
    for _ in 0..2 {
        let ended = learn_with(|| Err(AgentError::NoSocket), &certs, &session, &[over("done")]);
        assert_eq!((ended.len(), ended[0].left), (1, Left::NoAgent));
        assert!(line(&ended[0]).ends_with(" (no agent here to take it out of)"), "{}", line(&ended[0]));
        assert_eq!(certs.all().len(), 1);
    }
}

#[test]
fn what_may_turn_back_stays() {
    let (session, _key) = session(&"http://127.0.0.1:1".parse().unwrap());
    let (_outer, _state, certs) = certs();
    let another = RequestBody { id: Some("r-ffffffffffffffffffffffff".parse().unwrap()), ..over("denied") };
    let of_more_time = RequestBody { extends: another.id.clone(), ..another.clone() };
    for body in [request("x"), over("forbidden"), over("finished"), another, of_more_time] {
        assert!(learn(&certs, &session, &[body]).is_empty());
    }
    assert_eq!(certs.all().len(), 1);
}

/// Standing access is asked about once, and a CA that does not say keeps nobody from connecting.
#[test]
fn before_ssh_a_kept_certificate_is_asked_about() {
    let (_outer, state, certs) = certs();
    let not_found = answer_with("404 x", "", "{\"error\":{\"code\":\"not_found\",\"message\":\"no\"}}");
    let denied = serde_json::to_string(&over("denied")).unwrap();
    let (server, heard) = serving(vec![
        answer_with("503 x", "", "{\"error\":{\"code\":\"store_unavailable\",\"message\":\"no\"}}"),
        answer_with("200 OK", "ETag: \"2\"\r\n", &denied),
        not_found,
    ]);
    let (session, _key) = session(&server);
    session.save(&state).unwrap();
    let ready = || {
        let (entry, certificate) = certs.load(&entry().target).unwrap();
        Ready { path: certs.path(&entry.target), entry, certificate, kept: true }
    };
    assert!(!meanwhile(&state, &Ready { kept: false, ..ready() }), "it is new: nobody is asked");
    assert!(!meanwhile(&state, &ready()), "the CA does not say");
    assert!(meanwhile(&state, &ready()), "denied");
    certs.save(&entry(), "ssh-ed25519-cert-v01@openssh.com AAAA").unwrap();
    assert!(!meanwhile(&state, &ready()), "no request of ours");
    assert!(ready().entry.standing);
    assert!(!meanwhile(&state, &ready()), "not asked again");
    assert_eq!(heard.join().unwrap().len(), 3);
}

#[test]
fn what_fails_on_this_machine_keeps_nobody_from_connecting() {
    let (outer, state, certs) = certs();
    let (entry, certificate) = certs.load(&entry().target).unwrap();
    let ready = Ready { path: certs.path(&entry.target), entry, certificate, kept: true };
    state.write("session.json", b"{").unwrap();
    assert!(!meanwhile(&state, &ready), "a login session that cannot be read");
    let (server, heard) =
        serving(vec![answer_with("404 x", "", "{\"error\":{\"code\":\"not_found\",\"message\":\"no\"}}")]);
    session(&server).0.save(&state).unwrap();
    // In the way as a full disk is, and in the way of root too.
    std::fs::create_dir(certs.path(&ready.entry.target).with_file_name("deploy@db-1+kept.lock")).unwrap();
    assert!(!meanwhile(&state, &ready), "standing access that cannot be noted down");
    assert_eq!(heard.join().unwrap().len(), 1);
    std::fs::remove_dir_all(outer.path().join("state").join("certs")).unwrap();
    std::fs::write(outer.path().join("state").join("certs"), "").unwrap();
    assert!(!meanwhile(&state, &ready), "certificates that cannot be looked at");
}
