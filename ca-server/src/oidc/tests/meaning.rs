//! What honest signatures may say, claim by claim.

use super::{CLIENT, NOW, World, session_key};
use crate::config::issuer::{Condition, IssuerConfig, IssuerKind, Required, check_all, required};
use api::Code;
use policy::Seconds;
use serde_json::{Value, json};

/// Each row: changed claims, and the cause of the refusal, or nothing if it is to be believed.
async fn table(world: &World, rows: &[(Value, Option<&str>)]) {
    for (changes, expected) in rows {
        let got = world.issuers.verify(&world.token_but(changes.clone()), &session_key()).await;
        let cause = got.err().map(|rejected| rejected.refusal.cause.unwrap());
        assert_eq!(cause.as_deref(), *expected, "{changes}");
    }
}

#[tokio::test]
async fn audience_and_authorized_party() {
    let several = Some("it has several audiences and no azp");
    let (aud, azp) = (Some("its aud is somebody else"), Some("its azp is somebody else"));
    table(
        &World::new().await,
        &[
            (json!({ "aud": [CLIENT] }), None),
            (json!({ "aud": "another" }), aud),
            (json!({ "aud": [] }), aud),
            (json!({ "aud": "JIT-SSH" }), aud),
            (json!({ "aud": "jit-ssh " }), aud),
            (json!({ "aud": "jit-ssh,another" }), aud),
            (json!({ "aud": null }), Some("it has no readable aud")),
            (json!({ "aud": { "jit-ssh": true } }), Some("it has no readable aud")),
            (json!({ "aud": [CLIENT, 7] }), Some("its aud holds something else than texts")),
            (json!({ "aud": [CLIENT, "another"] }), several),
            (json!({ "aud": [CLIENT, CLIENT] }), several),
            (json!({ "aud": [CLIENT, "another"], "azp": CLIENT }), None),
            (json!({ "aud": [CLIENT, "another"], "azp": "another" }), azp),
            (json!({ "azp": CLIENT }), None),
            (json!({ "azp": "another" }), azp),
            (json!({ "azp": [CLIENT] }), azp),
        ],
    )
    .await;
}

#[tokio::test]
async fn time() {
    let (strange, future) = (Some("its exp, iat or nbf is not a point in time"), Some("it lies in the future"));
    let old = Some("it is older than max_token_age");
    table(
        &World::new().await,
        &[
            (json!({ "exp": NOW - 59 }), None),
            (json!({ "exp": NOW - 60 }), Some("it has expired")),
            (json!({ "exp": 0 }), Some("it has expired")),
            (json!({ "exp": null }), Some("it has no exp")),
            (json!({ "exp": NOW.to_string() }), strange),
            (json!({ "exp": -1 }), strange),
            (json!({ "exp": NOW as f64 + 300.5 }), None),
            (json!({ "exp": 1e300 }), strange),
            (json!({ "exp": u64::MAX }), None),
            (json!({ "iat": NOW + 60 }), None),
            (json!({ "iat": NOW + 61 }), future),
            (json!({ "iat": NOW - 659 }), None),
            (json!({ "iat": NOW - 660 }), old),
            (json!({ "iat": 0 }), old),
            (json!({ "iat": null }), Some("it has no iat")),
            (json!({ "iat": [NOW] }), strange),
            (json!({ "nbf": NOW + 60 }), None),
            (json!({ "nbf": NOW + 61 }), future),
            (json!({ "nbf": "soon" }), strange),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_use_is_remembered_as_long_as_the_token_could_be_used() {
    let world = World::new().await;
    for changes in [json!({}), json!({ "exp": NOW + 86_400 }), json!({ "exp": u64::MAX }), json!({ "iat": NOW + 60 })] {
        let token = world.token_but(changes);
        let forget = world.verify(&token).await.unwrap().token.forget.as_secs();
        world.clock.set((forget - 1) * 1000);
        assert!(world.verify(&token).await.is_ok());
        world.clock.set(forget * 1000);
        assert_eq!(world.verify(&token).await.unwrap_err(), Code::TokenRefused);
        world.clock.set(NOW * 1000);
    }
}

#[tokio::test]
async fn a_use_is_one_whatever_the_signature_looks_like() {
    let world = World::new().await;
    let (one, two) = (world.ec.token(&world.claims()), world.ec.token(&world.claims()));
    assert_ne!(one, two, "ECDSA signatures differ each time");
    let (one, two) = (world.verify(&one).await.unwrap(), world.verify(&two).await.unwrap());
    assert_eq!(one.token, two.token);
    let other = world.verify(&world.token_but(json!({ "jti": "2" }))).await.unwrap();
    assert_ne!(one.token.digest, other.token.digest);
}

#[tokio::test]
async fn the_nonce_binds() {
    let rows = [
        (json!({ "nonce": "" }), Some("its nonce belongs to another session key")),
        (json!({ "nonce": "x" }), Some("its nonce belongs to another session key")),
        (json!({ "nonce": 7 }), Some("its nonce belongs to another session key")),
        (json!({ "nonce": [] }), Some("its nonce belongs to another session key")),
    ];
    let world = World::new().await;
    table(&world, &rows).await;
    table(&world, &[(json!({ "nonce": null }), Some("it has no nonce, and the device grant is not accepted"))]).await;
    let device = World::with(|config| config.device_grant = true).await;
    table(&device, &rows).await;
    assert_eq!(device.verify(&device.token_but(json!({ "nonce": null }))).await.unwrap().binding, "device");
    assert_eq!(device.verify(&device.token_but(json!({}))).await.unwrap().binding, "nonce");
}

#[tokio::test]
async fn other_tokens_of_the_same_issuer_are_no_login() {
    let world = World::with(|config| config.device_grant = true).await;
    let other = Some("it is another kind of token, not an ID token");
    let event = Some("it is a security event, not an ID token");
    table(
        &world,
        &[
            (json!({ "typ": "ID" }), None),
            (json!({ "typ": "Bearer" }), other),
            (json!({ "typ": "Refresh" }), other),
            (json!({ "token_use": "id" }), None),
            (json!({ "token_use": "access" }), other),
            (json!({ "token_use": ["id"] }), other),
            (json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }), event),
        ],
    )
    .await;
}

#[tokio::test]
async fn subjects() {
    let bad = Some("its sub is not 1 to 255 printable ASCII characters");
    table(
        &World::new().await,
        &[
            (json!({ "sub": "auth0|5f7c8ec7c33c6c004bbafe82" }), None),
            (json!({ "sub": null }), bad),
            (json!({ "sub": "" }), bad),
            (json!({ "sub": 7 }), bad),
            (json!({ "sub": "a\nb" }), bad),
            (json!({ "sub": "a\u{0}b" }), bad),
            (json!({ "sub": "ро\u{43e}t" }), bad),
            (json!({ "sub": "x".repeat(256) }), bad),
            (json!({ "sub": " root" }), bad),
        ],
    )
    .await;
}

#[tokio::test]
async fn when_somebody_last_typed_something() {
    let world = World::new().await;
    for (said, known) in [
        (json!(NOW - 10), Some(NOW - 10)),
        (json!(NOW + 60), Some(NOW + 60)),
        (json!(NOW as f64 - 9.5), Some(NOW - 10)),
        (json!(null), None),
        (json!(0), None),
        (json!(-1), None),
        (json!(NOW + 61), None),
        (json!(NOW.to_string()), None),
        (json!([NOW]), None),
        (json!(true), None),
        (json!(1e300), None),
    ] {
        let identity = world.verify(&world.token_but(json!({ "auth_time": said }))).await.unwrap().identity;
        assert_eq!(identity.auth_time.map(policy::UnixTime::as_secs), known, "{said}");
    }
    let fresh = World::with(|config| config.max_auth_age = Some(Seconds::new(600))).await;
    let stale = Some("auth_time is absent, strange or older than max_auth_age");
    table(
        &fresh,
        &[
            (json!({ "auth_time": NOW - 600 }), None),
            (json!({ "auth_time": NOW - 661 }), stale),
            (json!({ "auth_time": null }), stale),
            (json!({ "auth_time": 0 }), stale),
            (json!({ "auth_time": "1767225600" }), stale),
            (json!({ "auth_time": NOW + 3600 }), stale),
        ],
    )
    .await;
}

/// Vaultwarden took an address that anybody had typed for one that its owner had proven.
#[tokio::test]
async fn cve_2026_47164_an_unverified_address_is_none() {
    let world = World::new().await;
    let address = async |world: &World, changes: Value| {
        world.verify(&world.token_but(changes)).await.unwrap().identity.email.map(|email| email.to_string())
    };
    let ceo = "ceo@example.com";
    for verified in
        [json!(null), json!(false), json!("true"), json!("True"), json!(1), json!("false"), json!([true]), json!({})]
    {
        let got = address(&world, json!({ "email": ceo, "email_verified": verified })).await;
        assert_eq!(got, None, "{verified}");
    }
    assert_eq!(address(&world, json!({ "email": ceo, "email_verified": true })).await.as_deref(), Some(ceo));
    for strange in
        [json!(null), json!(7), json!([ceo]), json!("ceo"), json!("a@b@c"), json!("a,b@example.com"), json!("a\n@b")]
    {
        assert_eq!(address(&world, json!({ "email": strange, "email_verified": true })).await, None, "{strange}");
    }
    let lenient = World::with(|config| config.email_verified_as_text = true).await;
    assert_eq!(address(&lenient, json!({ "email": ceo, "email_verified": "true" })).await.as_deref(), Some(ceo));
    assert_eq!(address(&lenient, json!({ "email": ceo, "email_verified": "TRUE" })).await, None);
    let identity = world.verify(&world.token_but(json!({ "email": ceo }))).await.unwrap().identity;
    assert_eq!(identity.name(), "u-1", "nothing downstream may call them by it");
}

#[tokio::test]
async fn groups_are_read_whole_or_not_at_all() {
    let world = World::with(|config| config.group_prefix = "corp:".to_owned()).await;
    let groups = async |claim: Value| -> Result<Vec<String>, Code> {
        let verified = world.verify(&world.token_but(json!({ "groups": claim }))).await?;
        Ok(verified.identity.groups.iter().map(ToString::to_string).collect())
    };
    assert_eq!(groups(json!(["b", "a", "b"])).await.unwrap(), ["corp:a", "corp:b"]);
    assert_eq!(groups(json!("a,root")).await.unwrap(), ["corp:a,root"], "a comma separates nothing");
    assert_eq!(groups(json!([])).await.unwrap(), [""; 0]);
    assert_eq!(groups(json!(null)).await.unwrap(), [""; 0]);
    for strange in [
        json!(7),
        json!(true),
        json!({ "a": true }),
        json!(["a", 7]),
        json!(["a", null]),
        json!([["a"]]),
        json!([""]),
        json!(""),
    ] {
        assert_eq!(groups(strange.clone()).await.unwrap_err(), Code::TokenRefused, "{strange}");
    }
    for hidden in ["a\n", "a\u{200b}", "\u{202e}root", "a\u{0}", "a\u{feff}", &"x".repeat(257)] {
        assert_eq!(groups(json!(["a", hidden])).await.unwrap_err(), Code::TokenRefused, "{hidden:?}");
    }
    let many = |count: usize| json!((0..count).map(|index| format!("g{index}")).collect::<Vec<_>>());
    assert_eq!(groups(many(256)).await.unwrap().len(), 256);
    assert_eq!(groups(many(257)).await.unwrap_err(), Code::GroupsOverage);
}

#[tokio::test]
async fn entra_overage_is_named() {
    let world = World::new().await;
    for changes in [
        json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": "https://graph.example" } } }),
        json!({ "hasgroups": true }),
        json!({ "hasgroups": "true" }),
        json!({ "_claim_names": { "groups": "src1" }, "groups": ["sre"] }),
    ] {
        let rejected = world.issuers.verify(&world.token_but(changes.clone()), &session_key()).await.unwrap_err();
        assert_eq!(rejected.refusal.code, Code::GroupsOverage, "{changes}");
        assert!(rejected.refusal.hint.unwrap().contains("Groups assigned to the application"));
    }
    assert!(world.verify(&world.token_but(json!({ "hasgroups": false }))).await.is_ok());
}

#[tokio::test]
async fn groups_from_a_path_or_a_url() {
    let nested = json!({
        "realm_access": { "roles": ["sre"] }, "realm_access.roles": ["forged"], "groups": ["other"],
        "k8s.io": { "a/b": { "~": "pod" } }, "k8s": { "io": "forged" },
    });
    for (claim, expected) in [
        ("realm_access.roles", vec!["sre"]),
        ("groups", vec!["other"]),
        ("realm_access.none", vec![]),
        ("groups.roles", vec![]),
        ("/k8s.io/a~1b/~0", vec!["pod"]),
        ("/realm_access/roles", vec!["sre"]),
        ("/realm_access/none", vec![]),
        ("/", vec![]),
        ("", vec![]),
        ("https://jit-ssh.example/groups", vec![]),
    ] {
        let world = World::with(|config| config.groups_claim = Some(claim.to_owned())).await;
        let identity = world.verify(&world.token_but(nested.clone())).await.unwrap().identity;
        let groups: Vec<&str> = identity.groups.iter().map(policy::Group::as_str).collect();
        assert_eq!(groups, expected, "{claim}");
    }
    let url = "https://jit-ssh.example/groups";
    let world = World::with(|config| config.groups_claim = Some(url.to_owned())).await;
    let identity = world.verify(&world.token_but(json!({ url: ["sre"] }))).await.unwrap().identity;
    assert_eq!(identity.groups.len(), 1);
}

#[tokio::test]
async fn factors_are_judged_by_what_was_done() {
    let world = World::new().await;
    for (amr, several) in [
        (json!(null), false),
        (json!([]), false),
        (json!(["pwd"]), false),
        (json!(["mfa"]), true),
        (json!(["pwd", "otp"]), true),
        (json!(["pwd", "pin"]), false),
        (json!(["otp", "sms"]), false),
        (json!(["hwk"]), false),
        (json!(["hwk", "user"]), false),
        (json!(["hwk", "pin"]), true),
        (json!(["swk", "fpt"]), true),
        (json!(["pwd", "rba", "wia", "geo", "mca"]), false),
        (json!(["MFA"]), false),
        (json!("mfa"), true),
        (json!(["pwd mfa"]), false),
    ] {
        let identity = world.verify(&world.token_but(json!({ "amr": amr }))).await.unwrap().identity;
        assert_eq!(identity.mfa, several, "{amr}");
    }
    for strange in [json!(7), json!([7]), json!({ "mfa": true }), json!(["a\n"]), json!(vec!["x"; 33])] {
        assert_eq!(world.verify(&world.token_but(json!({ "amr": strange }))).await.unwrap_err(), Code::TokenRefused);
    }
    let own = World::with(|config| {
        config.mfa_amr = Some(vec!["hwk".to_owned()]);
        config.mfa_acr = vec!["phrh".to_owned()];
    })
    .await;
    for (changes, several) in [
        (json!({ "amr": ["hwk"] }), true),
        (json!({ "amr": ["mfa"] }), false),
        (json!({ "acr": "phrh" }), true),
        (json!({ "acr": "phr" }), false),
        (json!({ "acr_values": "phrh" }), false),
    ] {
        assert_eq!(own.verify(&own.token_but(changes.clone())).await.unwrap().identity.mfa, several, "{changes}");
    }
}

#[tokio::test]
async fn workloads() {
    let world = World::with(|config| {
        *config = IssuerConfig::workload(
            config.url.clone(),
            "https://ssh-ca.example.com",
            vec![Condition::equals("repository", "acme/shop"), Condition::prefix("ref", "refs/heads/")],
        );
        config.claims = ["repository", "run_attempt", "kubernetes.io", "missing"].map(str::to_owned).to_vec();
    })
    .await;
    let ours = |changes: Value| {
        let mut claims = json!({
            "aud": "https://ssh-ca.example.com", "nonce": null, "sub": "repo:acme/shop:ref:refs/heads/main",
            "repository": "acme/shop", "ref": "refs/heads/main", "run_attempt": 2,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        world.token_but(claims)
    };
    let verified = world.verify(&ours(json!({}))).await.unwrap();
    assert_eq!(verified.identity.kind, policy::Kind::Workload);
    assert_eq!(verified.binding, "workload");
    assert_eq!(verified.ends.unwrap().as_secs(), NOW + 300, "a workload's session ends with its token");
    let carried =
        [("repository", "acme/shop"), ("run_attempt", "2")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(verified.identity.claims, carried);
    assert!(verified.identity.groups.is_empty());

    let require = "it does not meet every [[issuer.require]]";
    for (changes, expected) in [
        (json!({ "ref": "refs/pull/7/merge" }), require),
        (json!({ "repository": "evil/shop" }), require),
        (json!({ "repository": "acme/shop2" }), require),
        (json!({ "repository": "ACME/SHOP" }), require),
        (json!({ "repository": ["acme/shop"] }), require),
        (json!({ "repository": null }), require),
        (json!({ "aud": ["https://ssh-ca.example.com", "https://other.example"] }), "it is meant for others too"),
        (json!({ "aud": "https://other.example" }), "its aud is somebody else"),
        (json!({ "sub": null }), "its sub is not 1 to 255 printable ASCII characters"),
        (json!({ "nonce": "x" }), "its nonce belongs to another session key"),
        (json!({ "run_attempt": { "x": 1 } }), "a claim that policies look at is not a short text"),
        (json!({ "run_attempt": "a\nb" }), "a claim that policies look at is not a short text"),
        (json!({ "iat": null, "exp": NOW + 3661 }), "it has no iat"),
    ] {
        assert_eq!(world.cause(&ours(changes.clone())).await, expected, "{changes}");
    }
    assert!(world.verify(&ours(json!({ "iat": null, "exp": NOW + 3600 }))).await.is_ok(), "a JWT-SVID may lack iat");
    let stranger = world.issuers.verify(&ours(json!({ "repository": "evil/shop" })), &session_key()).await.unwrap_err();
    assert!(stranger.proven.is_none(), "anybody may run a job at a public issuer");
}

/// Whoever leaves something out of a token is not better off for it, where the server asks for it.
#[tokio::test]
async fn what_a_token_must_carry() {
    let email = "it has no verified e-mail address, and require_claims asks for one";
    let groups = "it has no claim of groups, and require_claims asks for it";
    let rows = [
        (json!({ "email": "a@b.example", "email_verified": true, "groups": [] }), None, None),
        (json!({ "email": "a@b.example", "email_verified": true }), None, Some(groups)),
        (json!({ "email": "a@b.example", "email_verified": false, "groups": ["g"] }), Some(email), None),
        (json!({ "email": "a@b.example", "groups": ["g"] }), Some(email), None),
        (json!({ "email": "nobody", "email_verified": true, "groups": ["g"] }), Some(email), None),
        (json!({ "groups": "g" }), Some(email), None),
        (json!({}), Some(email), Some(groups)),
    ];
    let only = async |required: Vec<Required>| World::with(|config| config.require_claims = Some(required)).await;
    let (of_email, of_groups, neither) =
        (only(vec![Required::Email]).await, only(vec![Required::Groups]).await, only(vec![]).await);
    for (claims, no_email, no_groups) in rows {
        table(&of_email, &[(claims.clone(), no_email)]).await;
        table(&of_groups, &[(claims.clone(), no_groups)]).await;
        table(&neither, &[(claims, None)]).await;
    }
    let rejected = of_email.issuers.verify(&of_email.token_but(json!({})), &session_key()).await.unwrap_err();
    assert_eq!(rejected.refusal.code, Code::TokenRefused);
    assert!(rejected.refusal.message.contains("verified e-mail address"), "{}", rejected.refusal.message);
    assert!(rejected.proven.is_some(), "it is on record");
}

#[test]
fn an_address_is_asked_for_where_people_log_in_at_several_issuers() {
    let people = |n: u8| IssuerConfig::people(format!("https://{n}.example").parse().unwrap(), "c");
    let ci = IssuerConfig::workload("https://ci.example".parse().unwrap(), "us", Vec::new());
    assert_eq!(required(&people(1), &[people(1), ci.clone()]), []);
    let both = [people(1), people(2), ci.clone()];
    assert_eq!(required(&both[0], &both), [Required::Email]);
    assert_eq!(required(&ci, &both), []);
    let text = "url = \"https://1.example\"\nclient_id = \"c\"\nrequire_claims = ";
    let said = |list: &str| toml::from_str::<IssuerConfig>(&format!("{text}{list}"));
    assert_eq!(required(&said("[]").unwrap(), &both), [], "the operator says otherwise");
    assert_eq!(required(&said("[\"groups\"]").unwrap(), &both), [Required::Groups]);
    assert!(said("[\"mail\"]").is_err() && said("\"email\"").is_err());
    let rules = IssuerConfig { require_claims: Some(vec![Required::Email]), ..ci };
    assert_eq!(check_all(&[rules]).unwrap_err().len(), 2, "of people, and without [[issuer.require]]");
}

#[test]
fn configurations_that_would_let_in_too_much_are_refused() {
    let people = |url: &str| IssuerConfig::people(url.parse().unwrap(), "c");
    let faults = |issuers: &[IssuerConfig]| check_all(issuers).err().unwrap_or_default().len();
    assert_eq!(faults(&[people("https://one.example")]), 0);
    assert_eq!(faults(&[people("http://127.0.0.1:9")]), 0);
    assert_eq!(faults(&[people("http://one.example")]), 1);
    assert_eq!(faults(&[people("https://user@one.example")]), 1);
    assert_eq!(faults(&[people("https://one.example?x=1")]), 1);
    assert_eq!(faults(&[people("https://one.example"), people("https://two.example")]), 1, "same prefix");
    let prefixed = |url: &str, prefix: &str| IssuerConfig { group_prefix: prefix.to_owned(), ..people(url) };
    assert_eq!(faults(&[prefixed("https://one.example", "a:"), prefixed("https://two.example", "b:")]), 0);
    assert_eq!(faults(&[prefixed("https://one.example", "a"), prefixed("https://two.example", "ab")]), 1);
    let twice = [prefixed("https://one.example", "a:"), prefixed("https://one.example", "b:")];
    assert_eq!(faults(&twice), 1);
    let anybody = IssuerConfig::workload("https://ci.example".parse().unwrap(), "us", Vec::new());
    assert_eq!(faults(&[anybody]), 1);
    let mut none = people("https://one.example");
    none.client_id = None;
    none.algorithms.clear();
    none.scopes.clear();
    assert_eq!(faults(&[none]), 3);

    for bad in [
        "claim = \"a\"",
        "claim = \"a\"\nequals = \"b\"\nprefix = \"c\"",
        "claim = \"a\"\nprefix = \"\"",
        "claim = \"a\"\nin = []",
        "claim = \"\"\nequals = \"b\"",
        "claim = \"a\"\nequal = \"b\"",
    ] {
        assert!(toml::from_str::<Condition>(bad).is_err(), "{bad}");
    }
    let text = "url = \"https://ci.example\"\nkind = \"workload\"\naudience = \"us\"\n[[require]]\nclaim = \"a\"\nin = [\"b\", \"c\"]";
    let config: IssuerConfig = toml::from_str(text).unwrap();
    assert_eq!(config.kind, IssuerKind::Workload);
    assert!(config.require[0].holds("c") && !config.require[0].holds("d"));
    assert!(toml::from_str::<IssuerConfig>("url = \"https://i.example\"\nclient_idd = \"c\"").is_err());
}

/// The issuers that `ca-server init` suggests, with their comment signs taken away.
#[tokio::test]
async fn the_suggested_issuers_are_sound_and_let_no_pull_request_in() {
    #[derive(serde::Deserialize)]
    struct Suggested {
        issuer: Vec<IssuerConfig>,
    }
    let text = include_str!("../../../starter/config.toml");
    let (_, text) = text.split_once("\n#[[issuer]]").unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
    let text = format!("[[issuer]]\n{}", lines.collect::<Vec<_>>().join("\n"));
    let suggested: Suggested = toml::from_str(&text).unwrap();
    assert_eq!(check_all(&suggested.issuer), Ok(()));
    let ci = suggested.issuer.into_iter().find(|issuer| issuer.kind == IssuerKind::Workload).unwrap();
    let world = World::with(|config| *config = IssuerConfig { url: config.url.clone(), ..ci.clone() }).await;
    let job = |event: &str, owner: &str| {
        let aud = ci.audience.clone();
        world.token_but(json!({ "aud": aud, "nonce": null, "repository_owner_id": owner, "event_name": event }))
    };
    assert!(world.verify(&job("push", "9919")).await.is_ok());
    for (event, owner) in
        [("pull_request", "9919"), ("pull_request_target", "9919"), ("issue_comment", "9919"), ("push", "evil")]
    {
        assert_eq!(world.verify(&job(event, owner)).await.unwrap_err(), Code::TokenRefused, "{event} {owner}");
    }
}
