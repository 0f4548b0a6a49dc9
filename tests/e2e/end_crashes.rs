//! The server dies at every point of a revocation, a freeze and a thaw, as `kill -9` would end it; on a file and on
//! PostgreSQL. Then the step is there whole or not at all, the list for hosts says what the log says, and doing it again ends
//! in one of each.

use crate::pair::{Database, verify};
use anyhow::{Context as _, Result, ensure};
use api::{CertificateResponse, Code, FreezeBody, FreezesResponse, RequestBody, paths};
use e2e::kit::{
    browser::http,
    caller::{Answer, Caller},
    postgres::Cluster,
    server::{LOOSE, people},
    world::World,
};
use serde_json::{Value, json};

/// Points of each step, and whether it is there after a death at it.
const SERIAL: [(&str, bool); 4] = [
    ("revoke.decided", false),
    ("store.before-commit", false),
    ("store.after-commit", true),
    ("revoke.recorded", true),
];
/// A person is several steps: logins, certificates, requests. How many of them are there.
const PERSON: [(&str, usize); 5] = [
    ("revoke.decided", 0),
    ("store.before-commit", 0),
    ("store.after-commit", 1),
    ("revoke.recorded", 2),
    ("revoke.ended", 3),
];
const FREEZE: [(&str, bool); 4] = [
    ("freeze.decided", false),
    ("store.before-commit", false),
    ("store.after-commit", true),
    ("freeze.recorded", true),
];
const THAW: [(&str, bool); 4] =
    [("thaw.decided", false), ("store.before-commit", false), ("store.after-commit", true), ("thaw.recorded", true)];

#[tokio::test]
async fn wherever_the_server_dies_an_end_is_whole_in_a_file() -> Result<()> {
    all(&mut Scene::new(World::new().await?).await?).await
}

#[tokio::test]
async fn wherever_the_server_dies_an_end_is_whole_on_postgres() -> Result<()> {
    let world = World::new().await?;
    let database = Database::new(Cluster::shared()?)?;
    world.server.home.configure(&(people(&world.idp.issuer) + &database.section()), LOOSE)?;
    all(&mut Scene::new(world).await?).await
}

async fn all(scene: &mut Scene) -> Result<()> {
    for (point, there) in SERIAL {
        scene.revokes_a_certificate(point, there).await.with_context(|| format!("a certificate, {point}"))?;
    }
    for (point, steps) in PERSON {
        scene.revokes_a_person(point, steps).await.with_context(|| format!("a person, {point}"))?;
    }
    for (point, there) in FREEZE {
        scene.freezes(point, there).await.with_context(|| format!("a freeze, {point}"))?;
    }
    for (point, there) in THAW {
        scene.thaws(point, there).await.with_context(|| format!("a thaw, {point}"))?;
    }
    Ok(())
}

/// Alice works; Lena and Mona administer.
struct Scene {
    world: Option<World>,
    alice: Caller,
    lena: Caller,
    mona: Caller,
    /// The log as it was.
    former: Vec<Value>,
}

impl Scene {
    async fn new(world: World) -> Result<Self> {
        let security =
            "@id(\"security\")\npermit (principal in Group::\"leads\", action == Action::\"administer\", resource);";
        std::fs::write(world.server.home.path("policy/security.cedar"), security)?;
        let claims =
            json!({ "email": "mona@corp.example", "email_verified": true, "groups": ["leads"], "amr": ["otp"] });
        world.idp.account("mona", &claims).await?;
        let world = world.restart_server().await?;
        let (alice, lena, mona) = tokio::try_join!(
            Caller::login(&world.server, &world.idp, "alice"),
            Caller::login(&world.server, &world.idp, "lena"),
            Caller::login(&world.server, &world.idp, "mona")
        )?;
        Ok(Self { world: Some(world), alice, lena, mona, former: Vec::new() })
    }

    fn world(&self) -> Result<&World> {
        self.world.as_ref().context("the world is gone")
    }

    async fn ask(&self, who: &Caller, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        who.ask(&self.world()?.server, method, path, &body).await
    }

    async fn certificate(&self, host: &str) -> Result<Answer> {
        let body = self.alice.certificate_body(&format!("{}@{host}", self.world()?.accounts.first))?;
        self.alice.ask(&self.world()?.server, "POST", paths::CERTIFICATES, &body).await
    }

    /// The server that will die at `point`.
    async fn doomed(&mut self, point: &str) -> Result<()> {
        let mut world = self.world.take().context("the world is gone")?;
        let home = world.server.stop().await?;
        world.server = home.start_with_fault(point).await?;
        self.world = Some(world);
        // Noted once for a while that they were here: nothing but what follows is to be committed then.
        for who in [&self.lena, &self.mona, &self.alice] {
            self.ask(who, "GET", paths::SESSION, &Value::Null).await?;
        }
        Ok(())
    }

    /// It dies over this; the log is whole and only grew, and the server is there again. What is new in the log.
    async fn dies(&mut self, who: &Caller, path: &str, body: &Value) -> Result<Vec<Value>> {
        let before = self.log().await?;
        ensure!(before.starts_with(&self.former), "an entry was changed or lost");
        self.world()?.server.home.strike()?;
        ensure!(self.ask(who, "POST", path, body).await.is_err(), "it lived to answer");
        let mut world = self.world.take().context("the world is gone")?;
        let home = world.server.died().await?;
        verify(&home).await?;
        world.server = home.start().await?;
        self.world = Some(world);
        self.former = self.log().await?;
        ensure!(self.former.starts_with(&before), "an entry was changed or lost");
        Ok(self.former[before.len()..].to_vec())
    }

    async fn log(&self) -> Result<Vec<Value>> {
        let home = &self.world()?.server.home;
        let exported =
            home.audit(&["export", "--config", &home.path("config.toml").to_string_lossy()]).await?.success()?;
        let mut entries = Vec::new();
        for line in exported.lines() {
            // The last one is the checkpoint.
            if let Some(entry) = serde_json::from_str::<Value>(line)?["entry"].as_str() {
                entries.push(serde_json::from_str(entry)?);
            }
        }
        Ok(entries)
    }

    /// How often the log says that this was revoked; hosts are told so if it does, and not if it does not.
    async fn told(&self, serial: u64) -> Result<usize> {
        let told = self.log().await?;
        let serials = told.iter().filter_map(|entry| entry["serials"].as_array()).flatten();
        let count = serials.filter(|one| **one == serial).count();
        let list = http()?.get(format!("{}/v1/krl", self.world()?.server.url)).send().await?.bytes().await?;
        let listed = list.windows(8).any(|eight| eight == serial.to_be_bytes());
        ensure!(listed == (count > 0), "log and list do not agree on {serial}: {count}, {listed}");
        Ok(count)
    }

    async fn revokes_a_certificate(&mut self, point: &str, there: bool) -> Result<()> {
        self.doomed(point).await?;
        let serial = self.certificate("web-1").await?.good::<CertificateResponse>()?.serial.get();
        let asked = json!({ "scope": { "serial": serial }, "reason": point });
        let new = self.dies(&self.lena.clone(), paths::REVOCATIONS, &asked).await?;
        assert_eq!(new.iter().any(|entry| entry["code"] == "certificates.revoked"), there, "{new:#?}");
        assert_eq!(self.told(serial).await?, usize::from(there));
        let again = self.ask(&self.lena, "POST", paths::REVOCATIONS, &asked).await?;
        ensure!(again.status == 200, "{again:?}");
        assert_eq!(self.told(serial).await?, 1, "once");
        Ok(())
    }

    async fn revokes_a_person(&mut self, point: &str, steps: usize) -> Result<()> {
        self.doomed(point).await?;
        let target = format!("{}@db-1", self.world()?.accounts.first);
        let wanted = json!({ "targets": [target], "reason": point });
        let filed = self.ask(&self.alice, "POST", paths::REQUESTS, &wanted).await?;
        let filed: RequestBody = serde_json::from_str(&filed.body)?;
        let path = format!("{}/{}/approvals", paths::REQUESTS, filed.id.context("no id")?);
        let approved = self.ask(&self.lena, "POST", &path, &json!({ "digest": filed.digest })).await?;
        ensure!(approved.status == 200, "{approved:?}");
        let under = self.certificate("db-1").await?.good::<CertificateResponse>()?.serial.get();
        let standing = self.certificate("web-1").await?.good::<CertificateResponse>()?.serial.get();

        let asked = json!({ "scope": { "user": { "name": "alice@corp.example" } }, "reason": point });
        let new = self.dies(&self.lena.clone(), paths::REVOCATIONS, &asked).await?;
        let there = ["login.ended", "certificates.revoked", "grant.ended"]
            .map(|code| new.iter().any(|entry| entry["code"] == code));
        assert_eq!(there, [steps > 0, steps > 1, steps > 2], "{new:#?}");
        for serial in [under, standing] {
            assert_eq!(self.told(serial).await?, usize::from(steps > 1), "{new:#?}");
        }
        let issued = self.certificate("db-1").await?;
        assert_eq!(issued.code(), (steps > 0).then_some(Code::LoginRequired), "{issued:?}");

        let again = self.ask(&self.lena, "POST", paths::REVOCATIONS, &asked).await?;
        ensure!(again.status == 200, "{again:?}");
        for serial in [under, standing] {
            assert_eq!(self.told(serial).await?, 1, "once");
        }
        let world = self.world()?;
        assert_eq!(self.certificate("web-1").await?.code(), Some(Code::LoginRequired));
        self.alice = Caller::login(&world.server, &world.idp, "alice").await?;
        Ok(())
    }

    async fn freezes(&mut self, point: &str, there: bool) -> Result<()> {
        self.doomed(point).await?;
        self.certificate("web-1").await?.good::<CertificateResponse>()?;
        let asked = json!({ "scope": { "host": "web-1" }, "reason": point });
        let before = self.count("freeze.set").await?;
        self.dies(&self.lena.clone(), paths::FREEZES, &asked).await?;
        assert_eq!(self.count("freeze.set").await? - before, usize::from(there));
        self.frozen(there).await?;
        let again = self.ask(&self.lena, "POST", paths::FREEZES, &asked).await?;
        ensure!((200..300).contains(&again.status), "{again:?}");
        assert_eq!(self.count("freeze.set").await? - before, 1, "once");
        let freeze = self.frozen(true).await?.context("no freeze")?;
        self.thaw(&self.lena, &freeze).await?;
        self.thaw(&self.mona, &freeze).await?;
        self.frozen(false).await.map(drop)
    }

    async fn thaws(&mut self, point: &str, there: bool) -> Result<()> {
        self.doomed(point).await?;
        let asked = json!({ "scope": { "host": "web-1" }, "reason": point });
        let set: FreezeBody = serde_json::from_str(&self.ask(&self.lena, "POST", paths::FREEZES, &asked).await?.body)?;
        self.thaw(&self.lena, &set).await?;
        let path = format!("{}/{}/thaw", paths::FREEZES, set.id);
        let before = self.count("freeze.thawed").await?;
        self.dies(&self.mona.clone(), &path, &json!({ "reason": point })).await?;
        assert_eq!(self.count("freeze.thawed").await? - before, usize::from(there));
        self.frozen(!there).await?;
        let again = self.ask(&self.mona, "POST", &path, &json!({ "reason": point })).await?;
        assert_eq!(again.status, if there { 404 } else { 200 }, "{again:?}");
        assert_eq!(self.count("freeze.thawed").await? - before, 1, "once");
        self.frozen(false).await.map(drop)
    }

    async fn thaw(&self, who: &Caller, freeze: &FreezeBody) -> Result<()> {
        let path = format!("{}/{}/thaw", paths::FREEZES, freeze.id);
        let said = self.ask(who, "POST", &path, &json!({ "reason": "over" })).await?;
        ensure!(said.status == 200, "{said:?}");
        Ok(())
    }

    /// What is in force is listed, and stops what it says.
    async fn frozen(&self, expected: bool) -> Result<Option<FreezeBody>> {
        let listed = self.ask(&self.lena, "GET", paths::FREEZES, &Value::Null).await?.good::<FreezesResponse>()?;
        assert_eq!(listed.freezes.len(), usize::from(expected), "{listed:?}");
        let issued = self.certificate("web-1").await?;
        assert_eq!(issued.code(), expected.then_some(Code::Frozen), "{issued:?}");
        Ok(listed.freezes.into_iter().next())
    }

    async fn count(&self, code: &str) -> Result<usize> {
        Ok(self.log().await?.iter().filter(|entry| entry["code"] == code).count())
    }
}
