//! The API keeps to its own OpenAPI document, whoever asks what: schemathesis makes up requests from it, good ones and bad
//! ones, and judges each answer by it.

use anyhow::{Context as _, Result, ensure};
use e2e::kit::{caller::Caller, signing::Signing, world::World};
use serde_json::Value;
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

/// It takes a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// `./x test` installs it there, each package by its digest.
fn schemathesis() -> Result<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/.venv/bin/schemathesis");
    ensure!(program.exists(), "{} is not installed: ./x test does so", program.display());
    Ok(program)
}

/// Judges routes at `url`, by the document that `server` hands out. Where what comes in is signed on the way, a request without a
/// signature is no bad one: then the document asks for none.
async fn judge(server: &str, url: &str, dir: &Path, signed: bool, more: &[&str]) -> Result<()> {
    let schema = dir.join("openapi.json");
    let document = e2e::kit::browser::http()?.get(format!("{server}/openapi.json")).send().await?.text().await?;
    let mut document: Value = serde_json::from_str(&document)?;
    if signed {
        let paths = document["paths"].as_object_mut().context("no paths")?;
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut());
        operations.for_each(|operation| operation["security"] = Value::Array(Vec::new()));
    }
    std::fs::write(&schema, document.to_string())?;
    let mut command = Command::new(schemathesis()?);
    command.current_dir(dir).env("NO_COLOR", "1").arg("run").arg(&schema);
    command.args(["--url", url, "--phases", "examples,coverage,fuzzing", "--checks", CHECKS]);
    command.args(["--max-examples", "15", "--seed", "1", "--generation-database", "none", "--warnings", "off"]);
    command.args(["--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]).args(more);
    let judged =
        timeout(PATIENCE, command.kill_on_drop(true).output()).await.context("schemathesis does not end")??;
    let said = String::from_utf8_lossy(&judged.stdout);
    ensure!(judged.status.success(), "{said}\n{}", String::from_utf8_lossy(&judged.stderr));
    Ok(())
}

#[tokio::test]
async fn strangers_are_answered_as_the_document_says() -> Result<()> {
    let world = World::new().await?;
    judge(
        &world.server.url,
        &world.server.url,
        world.path(),
        false,
        &["--include-path-regex", "^/(v1/|health|ready|openapi)"],
    )
    .await?;
    judge(&world.server.url, &world.server.ops, world.path(), false, &["--exclude-path-regex", "^/(v1/|openapi)"]).await
}

#[tokio::test]
async fn who_is_logged_in_is_answered_as_the_document_says() -> Result<()> {
    let world = World::new().await?;
    for name in ["alice", "lena"] {
        let caller = Caller::login(&world.server, &world.idp, name).await?;
        let signing = Signing::start(&world.server, &caller).await?;
        // Whoever logs out is nobody after that.
        let more = ["--include-path-regex", "^/v1/", "--exclude-operation-id", "logout"];
        judge(&world.server.url, &signing.url, world.path(), true, &more).await.with_context(|| name)?;
    }
    Ok(())
}
