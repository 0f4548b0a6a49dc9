use super::*;
use crate::{
    agent::tests::{RealAgent, ca, identity, public_line},
    ca_client::tests::session,
};
use policy::{GrantId, KeyId, Serial};
use ssh_key::certificate::{Builder, CertType};

const HOUR: u64 = 3600;

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// A certificate for `target` that lives from `issued` to `expires`, as the CA would send it.
fn issued(target: &Target, grant: u8, issued: u64, expires: u64) -> (Issued, UserKey) {
    let key = UserKey::fresh().unwrap();
    let grant = GrantId::from_random([grant; 12]);
    let mut builder = Builder::new([7; 16], key.public().clone(), issued, expires).unwrap();
    builder.serial(9).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.key_id(KeyId::new(&grant, &identity()).as_str()).unwrap();
    builder.valid_principal(target.to_string()).unwrap();
    let certificate = builder.sign(&ca(1)).unwrap();
    let entry = Entry {
        target: target.clone(),
        serial: Serial::from_random(9).unwrap(),
        grant,
        ..crate::state::certs::tests::entry(issued, expires, expires + HOUR)
    };
    (Issued { text: certificate.to_openssh().unwrap(), certificate, entry }, key)
}

fn comments(agent: &mut Agent) -> Vec<String> {
    let mut comments: Vec<String> = agent.list().unwrap().into_iter().map(|listed| listed.comment).collect();
    comments.sort();
    comments
}

#[test]
fn one_live_entry_a_target_and_nobody_elses_is_touched() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let (mut session, _) = session(&"http://127.0.0.1:1".parse().unwrap());
    session.user_ca = vec![public_line(&ca(1))];
    let now = clock::now().as_secs();
    let (web, db) = (target("deploy@web-1"), target("deploy@db-1"));

    // Somebody else's certificate, with nothing of ours in its comment.
    let (theirs, their_key) = issued(&web, 9, now, now + HOUR);
    agent.add(&theirs.certificate, &their_key, "alice@laptop", 300).unwrap();
    // One of ours that has run out and that this agent has kept all the same.
    let (old, old_key) = issued(&target("deploy@old-1"), 8, now - HOUR, now - 1);
    let comment = agent::comment(&old.entry.grant, &old.entry.target, old.entry.expires);
    agent.add(&old.certificate, &old_key, &comment, 300).unwrap();

    for (target, grant) in [(&web, 1), (&db, 2), (&web, 3)] {
        let (issued, key) = issued(target, grant, now, now + HOUR);
        hand_over(&mut agent, &session, &issued, &key).unwrap();
    }
    let comments = comments(&mut agent);
    let of = |grant: u8| comments.iter().filter(|c| c.contains(GrantId::from_random([grant; 12]).as_str())).count();
    assert_eq!((of(1), of(2), of(3), of(8)), (0, 1, 1, 0), "{comments:?}");
    assert_eq!(comments[0], "alice@laptop");
    assert_eq!(comments.len(), 3);
}

#[test]
fn a_renewal_repeats_what_was_said_and_stays_within_its_grant() {
    let outer = tempfile::tempdir().unwrap();
    let state = StateDir::at(outer.path().join("state")).unwrap();
    let certs = Certs::open(&state).unwrap();
    let web = target("deploy@web-1");
    let now = clock::now().as_secs();
    let (mut first, _) = issued(&web, 1, now, now + 300);
    certs.save(&first.entry, &first.text).unwrap();
    assert_eq!(with_former(&certs, &web, &Wish::default()), Wish::default(), "nothing was said");

    first.entry.reason = Some("deploy".parse().unwrap());
    certs.save(&first.entry, &first.text).unwrap();
    let renewal = with_former(&certs, &web, &Wish::default());
    assert_eq!(renewal.reason, first.entry.reason);
    let left = renewal.duration.unwrap().as_secs();
    assert!(left <= 300 + HOUR && left > 200 + HOUR, "{left}");

    let other = Wish { ticket: Some("OPS-1".parse().unwrap()), ..Wish::default() };
    assert_eq!(with_former(&certs, &web, &other), other, "something else is said now");

    first.entry.until = UnixTime::from_secs(now - 1);
    certs.save(&first.entry, &first.text).unwrap();
    assert_eq!(with_former(&certs, &web, &Wish::default()), Wish::default(), "that grant is over");
}

#[test]
fn what_is_held_serves_a_wish_that_does_not_differ() {
    let outer = tempfile::tempdir().unwrap();
    let certs = Certs::open(&StateDir::at(outer.path().join("state")).unwrap()).unwrap();
    let web = target("deploy@web-1");
    let (mut first, _) = issued(&web, 1, 1000, 1300);
    first.entry.duration = Some(Seconds::new(1800));
    first.entry.ticket = Some("OPS-1".parse().unwrap());
    certs.save(&first.entry, &first.text).unwrap();

    let serves = |wish: Wish| suits(&wish, &certs.load(&web).unwrap().0);
    let of = |seconds| Wish { duration: Some(Seconds::new(seconds)), ..Wish::default() };
    assert!(serves(Wish::default()), "nothing is said");
    assert!(serves(of(1800)), "the same is said again");
    assert!(!serves(of(3600)), "longer");
    assert!(!serves(of(60)), "shorter");
    assert!(!serves(Wish { ticket: Some("OPS-2".parse().unwrap()), ..Wish::default() }), "another ticket");
}

#[test]
fn a_host_has_one_certificate_whatever_it_is_called() {
    let outer = tempfile::tempdir().unwrap();
    let certs = Certs::open(&StateDir::at(outer.path().join("state")).unwrap()).unwrap();
    let (alias, name) = (target("deploy@www.example.com"), target("deploy@web-1"));
    assert_eq!(certs.canonical(&alias), alias);
    certs.learn_alias(&alias, &name).unwrap();
    assert_eq!(certs.canonical(&alias), name);
    assert_eq!(certs.canonical(&target("root@www.example.com")), target("root@web-1"));
    assert_eq!(certs.canonical(&name), name);
    certs.learn_alias(&alias, &target("deploy@web-2")).unwrap();
    assert_eq!(certs.canonical(&alias), target("deploy@web-2"), "it has moved");
    certs.learn_alias(&alias, &alias).unwrap();
    assert_eq!(certs.canonical(&alias), alias, "a host of its own now");
}

/// Asked for by several names at once, answered at once, handed over at once.
#[test]
fn one_host_under_many_names_has_one_live_entry() {
    let real = RealAgent::start();
    let (mut session, _) = session(&"http://127.0.0.1:1".parse().unwrap());
    session.user_ca = vec![public_line(&ca(1))];
    let outer = tempfile::tempdir().unwrap();
    let state = StateDir::at(outer.path().join("state")).unwrap();
    let now = clock::now().as_secs();
    let web = target("deploy@web-1");
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for name in 0..8 {
            let (start, session, web, state, mut agent) = (&start, &session, &web, &state, real.connect());
            scope.spawn(move || {
                let certs = Certs::open(state).unwrap();
                let (issued, key) = issued(web, name, now, now + HOUR);
                let asked = target(&format!("deploy@name-{name}"));
                start.wait();
                keep(&certs, session, &mut agent, &asked, issued, &key, None).unwrap();
            });
        }
    });
    let live = real.connect().list().unwrap();
    let certs = Certs::open(&state).unwrap();
    let kept = certificate::parse(&certs.load(&web).unwrap().1).unwrap().to_bytes().unwrap();
    assert_eq!(live.len(), 1, "never more than one live entry");
    assert_eq!(live[0].blob, kept, "and it is the one that ssh is told of");
    assert!((0..8).all(|name| certs.canonical(&target(&format!("deploy@name-{name}"))) == web));
}

/// Ansible's forks, each for another host, find the same leftovers: whoever comes second to one has lost nothing.
#[test]
fn parallel_renewals_do_not_trip_over_each_others_leftovers() {
    let real = RealAgent::start();
    let (mut session, _) = session(&"http://127.0.0.1:1".parse().unwrap());
    session.user_ca = vec![public_line(&ca(1))];
    let now = clock::now().as_secs();
    for old in 0..40 {
        let (old, key) = issued(&target(&format!("deploy@old-{old}")), 8, now - HOUR, now - 1);
        let comment = agent::comment(&old.entry.grant, &old.entry.target, old.entry.expires);
        real.connect().add(&old.certificate, &key, &comment, 300).unwrap();
    }
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for fork in 0..8 {
            let (start, session, mut agent) = (&start, &session, real.connect());
            scope.spawn(move || {
                let (issued, key) = issued(&target(&format!("deploy@web-{fork}")), fork, now, now + HOUR);
                start.wait();
                hand_over(&mut agent, session, &issued, &key).unwrap();
            });
        }
    });
    assert_eq!(real.connect().list().unwrap().len(), 8, "each has its own, and the leftovers are gone");
}

#[test]
fn an_entry_that_vanished_meanwhile_is_no_failure() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let now = clock::now().as_secs();
    let web = target("deploy@web-1");
    let (former, key) = issued(&web, 1, now, now + HOUR);
    let comment = agent::comment(&former.entry.grant, &web, former.entry.expires);
    agent.add(&former.certificate, &key, &comment, 300).unwrap();
    let listed = agent.ours(&[public_line(&ca(1))]).unwrap().remove(0);
    real.connect().remove(&listed.blob).unwrap();
    discard(&mut agent, &listed, &web).unwrap();
    discard(&mut agent, &listed, &target("deploy@db-1")).unwrap();
}
