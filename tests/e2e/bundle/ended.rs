//! A grant that ended with something wider: whoever reads its bundle sees what, by whom and why.

use super::{
    bundled, json_of,
    lines::{Lines, entry},
};
use crate::revocation::guarded;
use anyhow::{Context as _, Result, ensure};
use api::{bundle::Verified, proof::note::Verifier};
use e2e::kit::{client::Client, world::World};

/// Access to db-1 that lena approved and `who` uses; the request's id.
async fn granted(world: &World, who: &Client, lena: &Client) -> Result<String> {
    let target = format!("{}@db-1", world.accounts.first);
    let filed = json_of(who, &["request", &target, "--reason", "x"]).await?;
    let id = filed["id"].as_str().context("no id")?.to_owned();
    json_of(lena, &["approve", &id, "--yes"]).await?;
    json_of(who, &["ensure", "--renew", &target]).await?;
    Ok(id)
}

async fn verified(world: &World, about: &str, key: &Verifier) -> Result<Verified> {
    let file = bundled(world, about, "of_this_moment.bundle", &[]).await?;
    let lines = Lines::read(&file)?;
    std::fs::remove_file(file)?;
    lines.verify(key).map_err(|faults| anyhow::anyhow!("{about}: {faults:?}"))
}

/// Every code and text of the timeline that is about an end.
fn ends(verified: &Verified) -> Vec<(&str, &str)> {
    let all = verified.timeline.iter().map(|told| (told.code.as_str(), told.text.as_str()));
    all.filter(|(code, _)| ["grant.ended", "certificates.revoked", "freeze."].iter().any(|of| code.starts_with(of)))
        .collect()
}

#[tokio::test]
async fn a_wider_revocation_is_told_in_the_bundle_of_each_grant_that_it_ended() -> Result<()> {
    let world = guarded().await?;
    let key = world.server.home.seal()?.verifier().clone();
    let (alice, nora, lena) = (world.person("alice").await?, world.person("nora").await?, world.person("lena").await?);
    let standing = json_of(&alice, &["ensure", &world.target()]).await?;
    let standing = standing["grant"].as_str().context("no grant")?.to_owned();
    let id = granted(&world, &alice, &lena).await?;
    let others = granted(&world, &nora, &lena).await?;
    let unused = json_of(&alice, &["request", &format!("{}@db-1", world.accounts.first), "--reason", "y"]).await?;
    let unused = unused["id"].as_str().context("no id")?.to_owned();
    json_of(&lena, &["revoke", "--user", "alice@corp.example", "--reason", "laptop stolen"]).await?;

    let told = verified(&world, &id, &key).await?;
    let wide = "lena@corp.example revoked all that alice@corp.example had: requests, logins and certificates";
    let ended = format!("lena@corp.example revoked {id}");
    assert_eq!(ends(&told), [("certificates.revoked", wide), ("grant.ended", &ended)]);
    let reasons = told.timeline.iter().flat_map(|told| &told.more).filter(|(_, value)| value == "laptop stolen");
    assert_eq!(reasons.count(), 2, "{:?}", told.timeline);
    assert!(told.timeline.iter().any(|told| told.code == "login.ended"), "the login that it was used under");
    // What never had a certificate ended by a call that says how wide it reached.
    let told = verified(&world, &unused, &key).await?;
    let ended = format!("lena@corp.example revoked {unused}");
    assert_eq!(ends(&told), [("certificates.revoked", wide), ("grant.ended", &ended)]);
    // What she had without a request ended by its serial alone.
    let told = verified(&world, &standing, &key).await?;
    assert_eq!(ends(&told), [("certificates.revoked", wide)]);
    assert_eq!(ends(&verified(&world, &others, &key).await?), [], "nora's is no concern of it");

    let scopes = [
        (["--host", "db-1"], "all access to db-1".to_owned()),
        (["--policy", "db/approval"], "all that policy db/approval granted".to_owned()),
        // Last: it takes lena's own login too.
        (
            ["--all-of-issuer", &world.idp.issuer],
            format!("all that {} vouched for: requests, logins and certificates", world.idp.issuer),
        ),
    ];
    let mut id = others;
    for (scope, what) in scopes {
        json_of(&lena, &[&["revoke"], &scope[..], &["--reason", "breach"]].concat()).await?;
        let told = verified(&world, &id, &key).await?;
        let (what, ended) = (format!("lena@corp.example revoked {what}"), format!("lena@corp.example revoked {id}"));
        assert_eq!(ends(&told), [("certificates.revoked", what.as_str()), ("grant.ended", &ended)], "{scope:?}");
        if scope[0] != "--all-of-issuer" {
            id = granted(&world, &nora, &lena).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_freeze_that_stopped_a_grant_is_in_its_bundle_and_no_certificate_can_hide_in_it() -> Result<()> {
    let world = guarded().await?;
    let seal = world.server.home.seal()?;
    let key = seal.verifier().clone();
    let (nora, lena, mona) = (world.person("nora").await?, world.person("lena").await?, world.person("mona").await?);
    let freeze = async |scope: &[&str]| -> Result<String> {
        let set = json_of(&lena, &[&["freeze"], scope, &["--reason", "laptop stolen"]].concat()).await?;
        Ok(set["id"].as_str().with_context(|| format!("no id: {set}"))?.to_owned())
    };
    let thaw = async |id: &str| -> Result<()> {
        for who in [&lena, &mona] {
            json_of(who, &["thaw", id, "--reason", "found it"]).await?;
        }
        Ok(())
    };
    // Over before there was a request, and somebody else's: neither is her grant's story.
    thaw(&freeze(&["--user", "nora@corp.example"]).await?).await?;
    let elsewhere = freeze(&["--host", "web-1"]).await?;
    let id = granted(&world, &nora, &lena).await?;
    let set = freeze(&["--user", "nora@corp.example"]).await?;
    let target = format!("{}@db-1", world.accounts.first);
    let stopped = nora.run(&["ensure", "--renew", &target]).await?;
    ensure!(stopped.code != Some(0), "{stopped:?}");
    thaw(&set).await?;
    json_of(&nora, &["ensure", "--renew", &target]).await?;

    let file = bundled(&world, &id, "frozen.bundle", &[]).await?;
    let whole = Lines::read(&file)?;
    let told = whole.verify(&key).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    assert_eq!(
        ends(&told),
        [
            ("freeze.set", "lena@corp.example froze user nora@corp.example: nothing more was issued"),
            ("freeze.stopped", "a freeze stopped nora@corp.example"),
            ("freeze.thawed", "lena@corp.example agreed to thaw a freeze: one more had to"),
            ("freeze.thawed", "mona@corp.example agreed to thaw a freeze: it was lifted"),
        ]
    );
    assert!(!told.timeline.iter().flat_map(|told| &told.more).any(|(_, value)| *value == elsewhere));

    // Given back: what is frozen from here on has nothing of it to stop.
    json_of(&nora, &["done", &id]).await?;
    let after = freeze(&["--user", "nora@corp.example"]).await?;
    let given_back = Lines::read(&bundled(&world, &id, "given-back.bundle", &[]).await?)?;
    let told = given_back.verify(&key).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    assert!(ends(&told).iter().any(|(code, _)| *code == "grant.ended"), "{:?}", ends(&told));
    assert!(!told.timeline.iter().flat_map(|told| &told.more).any(|(_, value)| *value == after));
    let filed = nora.run(&["request", &target, "--reason", "once more"]).await?;
    let warned = filed.err.contains(&format!("user nora@corp.example is frozen ({after})"));
    assert!(filed.code == Some(0) && warned, "{filed:?}");

    let hidden = whole.forged(&seal, |all| {
        let word = entry(all, "freeze.thawed").clone();
        all.retain(|entry| *entry != word && !entry.contains("\"lifted\":true"));
    });
    let faults = hidden.verify(&key).err().context("a certificate while its holder was frozen")?;
    assert!(faults.iter().any(|fault| fault.what.contains("was frozen")), "{faults:?}");
    Ok(())
}
