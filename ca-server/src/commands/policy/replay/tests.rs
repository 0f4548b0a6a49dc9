use super::{Otherwise, Replay, Summary};
use policy::{Policies, Source, Sources};
use serde_json::{Value, json};

const HOSTS: &str =
    "[[host]]\nname = \"web-1\"\naccounts = [\"deploy\"]\n[[host]]\nname = \"db-1\"\naccounts = [\"deploy\"]\n";
const OLD: &str = r#"
@id("sre") @max_duration("1h") permit (principal in Group::"sre", action == Action::"connect", resource) when { context.mfa };
@id("dev") @approvals("1") permit (principal in Group::"dev", action == Action::"connect", resource);
"#;

fn set(policy: &str, hosts: &str) -> Policies {
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let sources = Sources {
        policies: vec![source("p.cedar", policy)],
        hosts: Some(source("hosts.toml", hosts)),
        ..Default::default()
    };
    Policies::load(&sources).unwrap_or_else(|findings| panic!("{findings:?}"))
}

fn who(name: &str) -> Value {
    json!({"kind": "user", "issuer": "https://id.example.com", "subject": name})
}

fn identity(name: &str, group: &str, mfa: bool) -> Value {
    json!({"kind": "user", "issuer": "https://id.example.com", "subject": name, "email": null, "groups": [group], "amr": [],
        "acr": null, "mfa": mfa, "auth_time": null})
}

fn line(time: u64, code: &str, mut more: Value) -> String {
    let all = more.as_object_mut().unwrap();
    all.extend([("v".to_owned(), 1.into()), ("time_ms".to_owned(), (time * 1_000).into())]);
    all.extend([("request".to_owned(), "x".into()), ("code".to_owned(), code.into())]);
    more.to_string()
}

fn session(n: u64) -> String {
    format!("s-{n:024x}")
}

fn login(n: u64, name: &str, group: &str, mfa: bool) -> String {
    let more =
        json!({"actor": who(name), "session": session(n), "identity": identity(name, group, mfa), "expires": n + 100});
    line(n, "login.opened", more)
}

fn decided(time: u64) -> Value {
    json!({"time": time, "weekday": 1, "minute": 600})
}

fn refused(n: u64, name: &str, target: &str, outcome: &str) -> String {
    let decision = json!({"outcome": outcome, "policies": []});
    line(
        n,
        "decision.refused",
        json!({"actor": who(name), "session": session(n), "target": target, "decided": decided(n),
        "decision": decision, "policy_digest": "", "source": "192.0.2.1"}),
    )
}

fn issued(n: u64, name: &str, target: &str, under: Option<&str>) -> String {
    let mut more = json!({"actor": who(name), "session": session(n), "target": target, "decided": decided(n),
        "grant": "g-00112233445566778899aabb", "until": n, "policy": "sre", "policy_digest": "", "source": "192.0.2.1",
        "serial": 7, "user_key": "", "expires": n, "to_be_signed": ""});
    if let Some(under) = under {
        more["under"] = under.into();
    }
    line(n, "certificate.issued", more)
}

fn filed(n: u64, name: &str) -> String {
    let id = "r-00112233445566778899aabb";
    let request = json!({"id": id, "requester": identity(name, "dev", false), "targets": ["deploy@db-1", "deploy@web-1"],
        "duration": "30m", "reason": null, "ticket": null, "start": null, "under": null, "source": "192.0.2.1", "filed": n,
        "expires": n + 9, "extends": null});
    line(
        n,
        "request.filed",
        json!({"actor": who(name), "session": session(n), "id": id, "filed": request, "digest": "",
        "decided": decided(n), "policy_digest": ""}),
    )
}

fn replay(old: &Policies, new: &Policies, log: &[String]) -> (Vec<Otherwise>, Summary) {
    let changes = policy::changes(old, new);
    let mut replay = Replay::new(old, new, &changes);
    let found = (0..).zip(log).flat_map(|(index, text)| replay.entry(index, text)).collect();
    (found, replay.finish())
}

fn log() -> Vec<String> {
    vec![
        login(1, "ann", "sre", true),
        login(2, "bob", "dev", false),
        issued(1, "ann", "deploy@web-1", None),
        refused(2, "bob", "deploy@web-1", "needs-approval"),
        filed(2, "bob"),
        issued(2, "bob", "deploy@db-1", Some("r-00112233445566778899aabb")),
        // Of a session that nobody opened here, and by somebody else than who opened it.
        refused(3, "eve", "deploy@web-1", "denied"),
        issued(2, "ann", "deploy@web-1", None),
        line(9, "record.read", json!({"actor": who("ann")})),
    ]
}

#[test]
fn the_same_set_decides_everything_as_before() {
    let set = set(OLD, HOSTS);
    let (found, summary) = replay(&set, &set, &log());
    assert!(found.is_empty());
    let expected = Summary { asks: 4, under_requests: 1, not_replayable: 2, ..Summary::default() };
    assert_eq!(summary, expected, "one certificate, one refusal, a request of two targets");
}

#[test]
fn what_would_be_decided_otherwise_names_the_policy_that_makes_the_difference() {
    let new = OLD.replace("@max_duration(\"1h\")", "@max_duration(\"15m\")")
        + "@id(\"no-db\") forbid (principal in Group::\"dev\", action == Action::\"connect\", resource in Host::\"db-1\");";
    let (found, summary) = replay(&set(OLD, HOSTS), &set(&new, HOSTS), &log());
    assert_eq!((summary.outcome, summary.terms, summary.recorded_otherwise), (1, 1, 0));
    let told: Vec<String> = found
        .iter()
        .map(|one| format!("{} {} {}: {} → {} {:?}", one.index, one.who, one.target, one.old, one.new, one.because))
        .collect();
    assert_eq!(
        told,
        [
            "2 ann deploy@web-1: granted by sre for at most 1h → granted by sre for at most 15m [\"policy sre\"]",
            "4 bob deploy@db-1: needs 1 approval(s) by dev → denied, forbidden (no-db) [\"policy no-db\"]",
        ]
    );
}

#[test]
fn a_host_that_goes_makes_a_difference_too_and_another_old_set_is_noticed() {
    let only_web = "[[host]]\nname = \"web-1\"\naccounts = [\"deploy\"]\n";
    let (found, summary) = replay(&set(OLD, HOSTS), &set(OLD, only_web), &log());
    assert_eq!(summary.outcome, 1);
    assert_eq!(found[0].because, ["host db-1"]);
    let stricter = OLD.replace("@max_duration(\"1h\")", "@approvals(\"1\")");
    let (_, summary) = replay(&set(&stricter, HOSTS), &set(&stricter, HOSTS), &log());
    assert_eq!(summary.recorded_otherwise, 1, "ann's certificate was issued, and this set asks for approval");
}

const GLASS: &str = r#"
@id("glass") @reason("required") @record("required") @review_within("1h") @max_duration("30m")
permit (principal in Group::"sre", action == Action::"break-glass", resource);
"#;

fn opened(n: u64, name: &str, with_decided: bool) -> String {
    let id = "r-0011223344556677889900cc";
    let request = json!({"id": id, "requester": identity(name, "sre", true), "targets": ["deploy@db-1"],
        "duration": "30m", "reason": "down", "ticket": null, "start": null, "under": "glass", "source": "192.0.2.1",
        "filed": n, "expires": n, "extends": null, "break_glass": {"incident": "INC-7", "review_by": n + 3_600}});
    let mut more = json!({"actor": who(name), "session": session(n), "id": id, "filed": request, "digest": "",
        "target": "deploy@db-1", "policy": "glass", "incident": "INC-7", "reason": "down", "review_by": n + 3_600,
        "policy_digest": "", "source": "192.0.2.1"});
    if with_decided {
        more["decided"] = decided(n);
    }
    line(n, "break-glass.opened", more)
}

fn glass_refused(n: u64, name: &str, by_policy: bool) -> String {
    let mut more = json!({"actor": who(name), "session": session(n), "target": "deploy@web-1", "incident": "INC-7",
        "reason": "down", "decided": decided(n), "refusal": "no", "policy_digest": "", "source": "192.0.2.1"});
    if by_policy {
        more["decision"] = json!({"outcome": "denied", "policies": []});
    }
    line(n, "break-glass.refused", more)
}

/// By permits of its own: what grants it otherwise takes approval, and what else grants at once says nothing about it.
#[test]
fn emergencies_are_replayed_as_emergencies() {
    let old = format!("{OLD}{GLASS}");
    let log = [
        login(1, "ann", "sre", true),
        login(2, "bob", "dev", false),
        opened(1, "ann", true),
        glass_refused(2, "bob", true),
        // A review that was overdue, which no policy is asked about; and an entry that does not say when.
        glass_refused(2, "bob", false),
        opened(1, "ann", false),
    ];
    let (found, summary) = replay(&set(&old, HOSTS), &set(&old, HOSTS), &log);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(summary, Summary { asks: 2, not_replayable: 1, ..Summary::default() });

    let wider =
        old.replace("principal in Group::\"sre\", action == Action::\"break", "principal, action == Action::\"break");
    let told = |new: &str| -> Vec<String> {
        let (found, summary) = replay(&set(&old, HOSTS), &set(new, HOSTS), &log);
        assert_eq!(summary.recorded_otherwise, 0);
        found
            .iter()
            .map(|one| format!("{} {}: {} → {} {:?}", one.index, one.who, one.old, one.new, one.because))
            .collect()
    };
    assert_eq!(told(OLD), ["2 ann: granted by glass for at most 30m → denied, no permit matches [\"policy glass\"]"]);
    assert_eq!(
        told(&wider),
        ["3 bob: denied, no permit matches → granted by glass for at most 30m [\"policy glass\"]"]
    );
}

#[test]
fn logins_that_ran_out_are_forgotten() {
    let set = set(OLD, HOSTS);
    let changes = policy::changes(&set, &set);
    let mut replay = Replay::new(&set, &set, &changes);
    for n in 0..50_000 {
        assert!(replay.entry(n, &login(n, "ann", "sre", true)).is_empty());
    }
    assert!(replay.logins.len() < 2 * super::STRIDE, "{}", replay.logins.len());
}
