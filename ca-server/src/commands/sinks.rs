//! `ca-server sinks`: asks the server that runs.

use super::{
    print,
    run::{load, on_runtime},
};
use crate::cli::{AtServer, Sinks};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::{fmt::Write as _, process::ExitCode, time::Duration};

const PATIENCE: Duration = Duration::from_secs(15);

pub(super) fn sinks(asked: &Sinks) -> anyhow::Result<ExitCode> {
    match asked {
        Sinks::Status(at) => {
            let answer = ask(at, "/sinks", None)?;
            show(at, &answer, status)?;
            let well = |sink: &Value| of(sink, "up") == true && of(sink, "dead_letters") == 0;
            let all_well = of(&answer, "sinks").as_array().is_some_and(|sinks| sinks.iter().all(well));
            Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Sinks::DeadLetters { sink, at } => {
            // A name with a slash or a question mark is a name that does not exist, not another path.
            let name: String = url::form_urlencoded::byte_serialize(sink.as_bytes()).collect();
            show(at, &ask(at, &format!("/sinks/dead-letters/{name}"), None)?, dead_letters)
        }
        Sinks::Retry { sink, at } => show(at, &ask(at, "/sinks/retry", Some(json!({"sink": sink})))?, |answer| {
            format!(
                "{} dead letters are tried again; `ca-server sinks status` shows what is left\n",
                of(answer, "dead_letters")
            )
        }),
    }
}

fn ask(at: &AtServer, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
    let ops = match (&at.ops, &at.config) {
        (Some(ops), _) => *ops,
        (None, Some(file)) => load(file)?.listen.ops,
        (None, None) => anyhow::bail!("give --config or --ops"),
    };
    on_runtime(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let url = format!("http://{ops}{path}");
        let request = match body {
            Some(body) => client.post(url).json(&body),
            None => client.get(url),
        };
        let answer = request.send().await.with_context(|| {
            format!("no server answers at {ops} (listen.ops): start it, or name another address with --ops")
        })?;
        let refused = !answer.status().is_success();
        let answer: Value = answer.json().await.context("what answers there is no ca-server of this version")?;
        if refused {
            let word = |name: &str| {
                of(of(&answer, "error"), name).as_str().unwrap_or("the server refused").escape_debug().to_string()
            };
            anyhow::bail!("{}; {}", word("message"), word("hint"));
        }
        Ok(answer)
    })
}

fn show(at: &AtServer, answer: &Value, for_people: impl FnOnce(&Value) -> String) -> anyhow::Result<ExitCode> {
    print(&if at.json { format!("{answer}\n") } else { for_people(answer) })
}

fn status(answer: &Value) -> String {
    let mut text = String::new();
    for sink in of(answer, "sinks").as_array().into_iter().flatten() {
        let word = |name: &str| of(sink, name).as_str().unwrap_or_default().escape_debug().to_string();
        let state = if of(sink, "up") == true { "delivers".to_owned() } else { format!("fails: {}", word("error")) };
        let _infallible = writeln!(
            text,
            "{} ({}): {state}; {} entries behind, {} delivered since the start, {} dead letters",
            word("name"),
            word("kind"),
            of(sink, "lag_entries"),
            of(sink, "delivered"),
            of(sink, "dead_letters")
        );
    }
    if text.is_empty() { "no sinks are configured\n".to_owned() } else { text }
}

fn dead_letters(answer: &Value) -> String {
    let mut text = String::new();
    for letter in of(answer, "dead_letters").as_array().into_iter().flatten() {
        let word = |name: &str| of(letter, name).as_str().unwrap_or_default().escape_debug().to_string();
        let _infallible = writeln!(text, "entry {} {}: {}", of(letter, "index"), word("code"), word("reason"));
    }
    if text.is_empty() { "no dead letters\n".to_owned() } else { text }
}

fn of<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}
