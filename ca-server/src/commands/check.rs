//! `ca-server check`: everything that a start needs, looked at without changing anything.

mod database;
mod probes;
mod trust;

use super::{policy, print, run::on_runtime};
use crate::cli::Check;
use ::policy::Finding;
use ca_server::config::{Config, StoreConfig};
use serde_json::json;
use std::{fmt::Write as _, fs, path::Path, process::ExitCode};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The server would not start, or nobody could use it.
    Error,
    /// It would start; somebody should look.
    Warning,
    /// It is well; somebody may want to know.
    Note,
}

/// All that was found. Each finding names the line of the setting it is about.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    findings: Vec<(Weight, Finding)>,
}

pub(super) fn check(asked: &Check) -> anyhow::Result<ExitCode> {
    let file = asked.configured.config.as_path();
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut report = Report { file, text: &text, findings: Vec::new() };
    match Config::load(file) {
        Err(findings) => report.findings.extend(findings.into_iter().map(|finding| (Weight::Error, finding))),
        Ok(config) => examine(&config, asked.offline, &mut report)?,
    }
    let failed = report.findings.iter().any(|(weight, _)| *weight == Weight::Error);
    print(&if asked.json { report.for_programs(failed) } else { report.for_people()? })?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine(config: &Config, offline: bool, report: &mut Report<'_>) -> anyhow::Result<()> {
    probes::audience(config, report);
    probes::keys(config, report);
    probes::tls(config, report);
    let serving = probes::store(config, report);
    probes::sinks(config, report);
    trust::policy_files(config, report);
    trust::proxies(config, report);
    trust::one_person(config, report);
    trust::tags(config, report);
    trust::channels(config, report);
    trust::codes(config, report);
    let found = policy::examine(&config.policy.directory).findings;
    report.findings.extend(found.into_iter().map(|finding| (Weight::Error, finding)));
    on_runtime(async {
        if let StoreConfig::Postgres(settings) = &config.store {
            database::database(config, settings, report).await;
        }
        probes::addresses(config, serving, report);
        probes::issuers(config, offline, report).await;
        Ok(())
    })
}

impl Report<'_> {
    /// Something about the setting `key` of `section`; an empty section is the top of the file.
    fn add(&mut self, weight: Weight, (section, key): (&str, &str), message: impl Into<String>, hint: &str) {
        let finding = Finding {
            file: self.file.display().to_string(),
            line: line_of(self.text, section, key),
            column: 1,
            message: message.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        };
        self.findings.push((weight, finding));
    }

    fn for_people(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        for (weight, finding) in &self.findings {
            writeln!(text, "{}: {finding}", name(*weight))?;
        }
        let count = |wanted| self.findings.iter().filter(|(weight, _)| *weight == wanted).count();
        let counted = |count, one| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (count(Weight::Error), count(Weight::Warning));
        let verdict = if errors == 0 { "the server can start" } else { "correct the errors first" };
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        writeln!(text, "{}: {errors}, {warnings}: {verdict}", self.file.display())?;
        Ok(text)
    }

    fn for_programs(&self, failed: bool) -> String {
        let told = self.findings.iter().map(|(weight, found)| {
            let mut told = policy::finding(found);
            if let Some(told) = told.as_object_mut() {
                told.insert("level".to_owned(), name(*weight).into());
            }
            told
        });
        format!("{}\n", json!({"ok": !failed, "findings": told.collect::<Vec<_>>()}))
    }
}

fn name(weight: Weight) -> &'static str {
    match weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
        Weight::Note => "note",
    }
}

/// The line of `key` in `[section]`, else that of the section, else the first.
fn line_of(text: &str, section: &str, key: &str) -> u32 {
    let header = [format!("[{section}]"), format!("[[{section}]]")];
    let (mut here, mut found) = (section.is_empty(), 1);
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.starts_with('[') {
            here = header.iter().any(|header| line.starts_with(header.as_str()));
            found = if here { number } else { found };
        }
        let names_key = line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        if here && names_key {
            return number;
        }
    }
    found
}

#[cfg(test)]
mod tests;
