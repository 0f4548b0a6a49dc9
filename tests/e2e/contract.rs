//! The API keeps to its own OpenAPI document, whoever asks what: schemathesis makes up requests from it, good ones and bad
//! ones, and judges each answer by it.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{caller::Caller, signing::Signing, world::World};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// What an answer is judged by. What policy or a limit refuses is no fault of a request that is well formed, so a good
/// request may be refused; a bad one must be.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,\
                      allow_header_conformance";

/// What it makes up, it makes up again from the same seed; `JIT_SSH_SEED` names another one.
const SEED: &str = "1";

/// What is made up is HTTP: what is not is answered before it is a request, and in no document's words. And a bad request is
/// refused by whatever refuses it first, be it a version or a state.
const RULES: &str = r#"
[generation]
exclude-header-characters = "\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u0009\u000a\u000b\u000c\u000d\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f\u007f"
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"#;

/// Far beyond what it is given.
const PATIENCE: Duration = Duration::from_secs(300);

/// `./x test` installs it there, each package by its digest.
fn schemathesis() -> Result<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/.venv/bin/schemathesis");
    ensure!(program.exists(), "{} is not installed: ./x test does so", program.display());
    Ok(program)
}

/// Who asks, where, and what is judged.
struct Judge<'a> {
    world: &'a World,
    /// Where the routes are.
    url: &'a str,
    /// What comes in is signed on the way: then a request without a signature is no bad one, and the document asks for none.
    signed: bool,
    /// How much is made up at random, after what the document itself suggests.
    bound: [&'a str; 2],
}

/// Three of them: a minute together, and much of it at once.
const SECONDS: [&str; 2] = ["--max-time", "20"];

impl Judge<'_> {
    async fn judge(&self, more: &[&str]) -> Result<()> {
        let dir = tempfile::tempdir_in(self.world.path())?;
        let schema = dir.path().join("openapi.json");
        let document = format!("{}/openapi.json", self.world.server.url);
        let mut document: Value = e2e::kit::browser::http()?.get(document).send().await?.json().await?;
        if self.signed {
            let paths = document["paths"].as_object_mut().context("no paths")?;
            let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|one| one.values_mut());
            operations.for_each(|operation| operation["security"] = Value::Array(Vec::new()));
        }
        within_reach(&mut document, &self.world.accounts.first);
        std::fs::write(&schema, document.to_string())?;
        std::fs::write(dir.path().join("schemathesis.toml"), RULES)?;
        let seed = std::env::var("JIT_SSH_SEED").unwrap_or_else(|_unset| SEED.to_owned());
        let mut command = Command::new(schemathesis()?);
        command.current_dir(dir.path()).env("NO_COLOR", "1").arg("run").arg(&schema);
        command.args(["--url", self.url, "--phases", "examples,coverage,fuzzing,stateful", "--checks", CHECKS]);
        command.args(self.bound).args(["--seed", &seed, "--generation-database", "none"]);
        command.args(["--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]);
        command.args(["--warnings", "off"]).args(more);
        let judged =
            timeout(PATIENCE, command.kill_on_drop(true).output()).await.context("schemathesis does not end")??;
        let said = String::from_utf8_lossy(&judged.stdout);
        let err = String::from_utf8_lossy(&judged.stderr);
        ensure!(judged.status.success(), "JIT_SSH_SEED={seed}\n{said}\n{err}");
        let count =
            said.lines().find_map(|line| line.trim().split_once(" generated").and_then(|(n, _)| n.parse().ok()));
        ensure!(count.is_some_and(|count: u32| count > 50), "next to nothing was asked:\n{said}");
        Ok(())
    }
}

/// Half of what is made up names targets of this world and asks for no more than it must, so that some of it is granted,
/// and what follows on that is tried too.
fn within_reach(document: &mut Value, account: &str) {
    let schemas = &mut document["components"]["schemas"];
    let ours = json!({ "enum": [format!("{account}@web-1"), format!("{account}@db-1")] });
    let plain = json!({
        "properties": { "targets": { "items": ours, "minItems": 1, "maxItems": 1 }, "reason": { "const": "as it says" } },
        "required": ["targets", "reason"],
        "additionalProperties": false
    });
    for (name, kind, ours) in [("Target", "string", ours), ("FileRequest", "object", plain)] {
        schemas[name] = json!({ "type": kind, "anyOf": [ours, schemas[name]] });
    }
}

#[tokio::test]
async fn strangers_are_answered_as_the_document_says() -> Result<()> {
    let world = &World::new().await?;
    let open = "^/(v1/|health|ready|openapi)";
    let stranger = Judge { world, url: &world.server.url, signed: false, bound: SECONDS };
    stranger.judge(&["--include-path-regex", open]).await?;
    let operator = Judge { url: &world.server.ops, bound: ["--max-examples", "15"], ..stranger };
    operator.judge(&["--exclude-path-regex", "^/(v1/|openapi)"]).await
}

/// Whoever logs out is nobody after that.
const LOGGED_IN: [&str; 4] = ["--include-path-regex", "^/v1/", "--exclude-operation-id", "logout"];

#[tokio::test]
async fn who_is_logged_in_is_answered_as_the_document_says() -> Result<()> {
    let world = &World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let signing = Signing::start(&world.server, &alice).await?;
    Judge { world, url: &signing.url, signed: true, bound: SECONDS }.judge(&LOGGED_IN).await
}

/// Who may approve, revoke, freeze and read whatever there is.
#[tokio::test]
async fn who_administers_is_answered_as_the_document_says() -> Result<()> {
    let world = World::new().await?;
    let policy = world.server.home.path("policy/administer.cedar");
    std::fs::write(policy, ADMINISTER)?;
    let world = &world.restart_server().await?;
    let lena = Caller::login(&world.server, &world.idp, "lena").await?;
    let signing = Signing::start(&world.server, &lena).await?;
    Judge { world, url: &signing.url, signed: true, bound: SECONDS }.judge(&LOGGED_IN).await
}

const ADMINISTER: &str = r#"
@id("leads-administer")
permit (principal in Group::"leads", action in [Action::"administer", Action::"audit"], resource);
@id("leads-ask")
@approvals("1")
permit (principal in Group::"leads", action == Action::"connect", resource in HostGroup::"web");
"#;
