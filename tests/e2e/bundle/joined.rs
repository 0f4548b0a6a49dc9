//! Who approved is judged by every login of theirs, as the server judged them: since when they are in the group, and whether
//! they still were.

use super::{
    bundled, json_of,
    lines::{Lines, member, put},
};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{browser::Person, world::World};

/// lena's logins: one before the request, and one after it with which she approved.
fn logins(all: &mut [String]) -> Vec<&mut String> {
    let hers =
        |entry: &&mut String| entry.contains("\"code\":\"login.opened\"") && entry.contains("\"subject\":\"lena\"");
    all.iter_mut().filter(hers).collect()
}

fn without_groups(login: &mut String) {
    let identity = member(login, "identity").replace("[\"leads\"]", "[]");
    put(login, "identity", &identity);
}

#[tokio::test]
async fn an_approver_is_who_they_were_at_every_login() -> Result<()> {
    let world = World::new().await?;
    let (alice, _lena) = (world.person("alice").await?, world.person("lena").await?);
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json_of(&alice, &["request", &target, "--reason", "x"]).await?;
    let id = filed["id"].as_str().context("no id")?.to_owned();
    let phone = world.machine("lena-phone").await?;
    let (login, page) = phone.login(Person::LogsIn("lena")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    json_of(&phone, &["approve", &id, "--yes"]).await?;
    json_of(&alice, &["ensure", &target]).await?;
    // One more that has nothing to do with the approval, and then the last certificate.
    let desk = world.machine("lena-desk").await?;
    let (login, page) = desk.login(Person::LogsIn("lena")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    json_of(&alice, &["ensure", "--renew", &target]).await?;

    let whole = Lines::read(&bundled(&world, &id, "joined.bundle", &[]).await?)?;
    let seal = world.server.home.seal()?;
    let key = seal.verifier().clone();
    whole.verify(&key).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    // An hour between her first login and the request, and between the request and what follows, so that seconds tell them apart.
    let apart = |all: &mut Vec<String>| {
        for (login, hours) in logins(all).into_iter().zip([-1_i64, 1, 1]) {
            let time: i64 = member(login, "time_ms").parse().unwrap_or_default();
            put(login, "time_ms", &(time + hours * 3_600_000).to_string());
        }
    };
    let honest = whole.forged(&seal, apart).verify(&key);
    assert!(honest.is_ok(), "{:?}", honest.err());
    let mut count = 0;
    whole.forged(&seal, |all| assert_eq!(logins(all).len(), 3, "before, between, and after the approval"));

    type Edit = fn(&mut Vec<String>);
    let rows: [(&str, Edit); 3] = [
        ("in the group only since after the request", |all| without_groups(logins(all).remove(0))),
        ("no longer in it when the last certificate was issued", |all| without_groups(logins(all).remove(2))),
        ("the login before the request is left out", |all| {
            let first = logins(all).remove(0).clone();
            all.retain(|entry| *entry != first);
        }),
    ];
    for (what, edit) in rows {
        let forged = whole.forged(&seal, |all| {
            apart(all);
            edit(all);
        });
        let faults = forged.verify(&key).err().with_context(|| what.to_owned())?;
        let found = faults.iter().filter(|fault| fault.what.contains("does not grant it")).count();
        assert!(found > 0, "{what}: {faults:?}");
        count += found;
    }
    assert_eq!(count, 5, "both certificates twice, and the last one once");
    Ok(())
}
