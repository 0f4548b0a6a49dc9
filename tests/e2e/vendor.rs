//! A vendor's first shell: from their office and nowhere else, under a ticket, once their sponsor has said yes, for as long as was
//! said.

use crate::approval::{done, json};
use anyhow::{Context as _, Result, ensure};
use e2e::kit::{browser::Person, client::Client, world::World};
use serde_json::json;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket},
};

#[tokio::test]
async fn from_the_office_under_a_ticket_for_minutes() -> Result<()> {
    let world = contracted().await?;
    let (vera, sam) = (world.person("vera").await?, world.person("sam").await?);
    let hotel = elsewhere(&world).await?;
    let target = format!("{}@db-1", world.accounts.first);
    let asks = ["request", &target, "--reason", "quarterly patch", "--ticket", "CHG-7"];

    let abroad = hotel.run(&asks).await?;
    assert!(abroad.code == Some(3) && abroad.err.contains("no policy permits it"), "{abroad:?}");
    let plain = vera.run(&["request", &target, "--reason", "quarterly patch"]).await?;
    assert!(plain.code == Some(5) && plain.err.contains("needs a ticket: --ticket ID"), "{plain:?}");

    let filed = json(&vera, &asks).await?;
    let id = filed["id"].as_str().context("no id")?;
    assert_eq!((&filed["stage"]["stage"], &filed["duration"]), (&json!("pending"), &json!("25s")), "{filed}");
    let early = vera.run(&["ensure", &target]).await?;
    assert!(early.code == Some(5) && early.err.contains(id), "what was filed waits for the sponsor: {early:?}");
    assert_ne!(world.person("lena").await?.run(&["show", id]).await?.code, Some(0), "not hers to see");
    let screen = done(&sam, &["review", id]).await?.out;
    for word in
        ["vera@corp.example", "> vendor", &target, "CHG-7", "> quarterly patch", "db/vendor", "1 approval", "recorded"]
    {
        assert!(screen.contains(word), "{word} is not shown:\n{screen}");
    }
    assert!(!screen.contains("before"), "there is nothing before the first:\n{screen}");
    done(&sam, &["approve", id, "--yes"]).await?;

    let away = hotel.run(&["ensure", &target]).await?;
    assert_eq!(away.code, Some(3), "approved for the office: {away:?}");
    done(&vera, &["ensure", &target]).await?;
    let ssh = world.ssh(&vera)?;
    ssh.login(&world.accounts.first, &world.db, "true").await?.must_be_in()?;

    let began = Instant::now();
    while ssh.login(&world.accounts.first, &world.db, "true").await?.accepted().is_some() {
        ensure!(began.elapsed() < Duration::from_secs(60), "it was for 25 seconds");
    }
    // The agent may let go of the key within the second in which the grant ends.
    let mut after = vera.run(&["ensure", &target, "--ticket", "CHG-7"]).await?;
    while after.code == Some(0) {
        ensure!(began.elapsed() < Duration::from_secs(60), "it was for 25 seconds");
        after = vera.run(&["ensure", &target, "--ticket", "CHG-7"]).await?;
    }
    assert!(matches!(after.code, Some(3 | 5)), "{after:?}");

    // The second time the sponsor sees what became of the first.
    let filed = json(&vera, &asks).await?;
    let second = filed["id"].as_str().context("no id")?;
    let screen = done(&sam, &["review", second]).await?.out;
    assert!(screen.contains("before") && screen.contains("first used") && screen.contains(id), "{screen}");
    assert!(!done(&vera, &["show", second]).await?.out.contains("first used"), "she knows");
    Ok(())
}

/// The world with a vendor's contract: 127.0.0.1 is their office, sam sponsors them here.
async fn contracted() -> Result<World> {
    let world = World::new().await?;
    let policy = format!(
        "@id(\"db/vendor\")\n@max_duration(\"25s\")\n@approvals(\"1\")\n@ticket(\"required\")\n@record(\"required\")\n\
         @source_address(\"127.0.0.1/32\")\npermit (\n  principal in Group::\"vendor\",\n  action == Action::\"connect\",\n  \
         resource in HostGroup::\"db\"\n)\nwhen {{ resource.name == \"{}\" && context.source.isInRange(ip(\"127.0.0.1/32\")) }};\n\
         @id(\"db/sponsors\")\npermit (\n  principal in Group::\"sponsors\",\n  action == Action::\"approve\",\n  \
         resource in HostGroup::\"db\"\n);\n\
         @id(\"db/leads-not-for-vendors\")\nforbid (\n  principal in Group::\"leads\",\n  action == Action::\"approve\",\n  \
         resource in HostGroup::\"db\"\n);\n",
        world.accounts.first
    );
    std::fs::write(world.server.home.path("policy").join("vendor.cedar"), policy)?;
    let claims = json!({
        "email": "sam@corp.example", "email_verified": true, "groups": ["sponsors"], "amr": ["pwd", "otp"],
    });
    world.idp.account("sam", &claims).await?;
    world.restart_server().await
}

/// vera again, on a machine whose connections come from 127.0.0.2.
async fn elsewhere(world: &World) -> Result<Client> {
    let server: SocketAddr = url::Url::parse(&world.server.url)?.socket_addrs(|| None)?[0];
    let hotel = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", hotel.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut guest, _)) = hotel.accept().await {
            tokio::spawn(async move {
                let out = TcpSocket::new_v4()?;
                out.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into())?;
                let mut out = out.connect(server).await?;
                copy_bidirectional(&mut guest, &mut out).await
            });
        }
    });
    let client = Client::new(world.path(), "vera-abroad", &url).await?;
    let (login, page) = client.login(Person::LogsIn("vera")).await?;
    ensure!(login.code == Some(0), "{login:#?} {page:#?}");
    Ok(client)
}
