//! Jobs log in with the token of their CI, through the same door as people, and get what policy gives to workloads.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{
    client::Client,
    idp::Idp,
    process::Finished,
    server::{LOOSE, people},
    token::id_token,
    world::World,
};
use serde_json::json;
use std::fs;

/// The world, and beside its provider another one that signs the tokens of jobs. Its tokens are meant for `another-app`,
/// which here is the audience that workloads ask for.
async fn with_ci() -> Result<(World, Idp)> {
    let mut world = World::new().await?;
    let dir = world.path().join("ci");
    fs::create_dir(&dir)?;
    let ci = Idp::start(&dir).await?;
    for (name, repository, event) in
        [("main", "example/shop", "push"), ("pull", "example/shop", "pull_request"), ("other", "mallory/shop", "push")]
    {
        let claims = json!({ "repository": repository, "ref": format!("refs/heads/{name}"), "event_name": event });
        ci.account(name, &claims).await?;
    }
    let issuer = format!(
        "[[issuer]]\nurl = \"{}\"\nkind = \"workload\"\naudience = \"another-app\"\nalgorithms = [\"RS256\"]\n\
         claims = [\"repository\", \"ref\", \"event_name\"]\n\
         [[issuer.require]]\nclaim = \"repository\"\nprefix = \"example/\"\n",
        ci.issuer
    );
    let home = world.server.stop().await?;
    home.configure(&(people(&world.idp.issuer) + &issuer), LOOSE)?;
    world.server = home.start().await?;
    Ok((world, ci))
}

async fn job(world: &World, ci: &Idp, name: &str) -> Result<(Client, Finished)> {
    let client = world.machine(&format!("job-{name}")).await?;
    let file = client.home.join("token");
    fs::write(&file, id_token(ci, "another-app", name, "").await?)?;
    let login = client.run(&["login", "--token-file", &file.display().to_string()]).await?;
    Ok((client, login))
}

#[tokio::test]
async fn a_job_of_the_main_branch_gets_in_and_one_of_a_pull_request_does_not() -> Result<()> {
    let (world, ci) = with_ci().await?;
    let target = world.target();

    let (main, login) = job(&world, &ci, "main").await?;
    ensure!(login.code == Some(0), "{login:?}");
    let ensured = main.run(&["ensure", &target]).await?;
    ensure!(ensured.code == Some(0), "{ensured:?}");
    let inside = world.ssh(&main)?.login(&world.accounts.first, &world.web, "true").await?;
    inside.must_be_in()?;
    assert!(inside.accepted().context("no line")?.contains(" user=main (serial"), "{inside:#?}");

    let (pull, login) = job(&world, &ci, "pull").await?;
    ensure!(login.code == Some(0), "{login:?}");
    let denied = pull.run(&["ensure", &target]).await?;
    assert_eq!(denied.code, Some(3), "{denied:?}");
    assert!(denied.err.contains("ci/no-pull-requests") && denied.err.contains("protected branch"), "{denied:?}");

    // The issuer is trusted for one organisation alone.
    let (_, login) = job(&world, &ci, "other").await?;
    ensure!(login.code != Some(0), "{login:?}");
    Ok(())
}

/// A token for people opens no workload's door, and a workload's none for people.
#[tokio::test]
async fn tokens_of_one_kind_are_worth_nothing_as_the_other() -> Result<()> {
    let (world, ci) = with_ci().await?;
    for (issuer, client, name) in [(&ci, "jit-ssh", "main"), (&world.idp, "another-app", "alice")] {
        let machine = world.machine(&format!("machine-{name}")).await?;
        let file = machine.home.join("token");
        fs::write(&file, id_token(issuer, client, name, "").await?)?;
        let login = machine.run(&["login", "--token-file", &file.display().to_string()]).await?;
        ensure!(login.code.is_some_and(|code| code != 0), "{name}: {login:?}");
    }
    Ok(())
}
