//! `ca-server policy check` and `policy explain`.

mod diff;
mod replay;

use super::{explain, print};
use crate::cli::Policy;
use ca_server::policies;
use policy::{Finding, Policies};
use serde_json::json;
use std::{fmt::Write as _, path::Path, process::ExitCode};

pub(super) fn policy(asked: &Policy) -> anyhow::Result<ExitCode> {
    match asked {
        Policy::Check { directory, json } => check(directory, *json),
        Policy::Explain(asked) => explain::explain(asked),
        Policy::Diff(asked) => diff::diff(asked),
    }
}

fn check(directory: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let examined = examine(directory);
    if as_json {
        let findings: Vec<_> = examined.findings.iter().map(finding).collect();
        let Examined { policies, hosts, passed, .. } = examined;
        let body = json!({"ok": findings.is_empty(), "policies": policies, "hosts": hosts,
            "tests_passed": passed, "findings": findings});
        print(&format!("{body}\n"))?;
    } else {
        print(&examined.told(directory)?)?;
    }
    Ok(if examined.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a policy directory holds and what is wrong with it.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    policies: usize,
    hosts: usize,
    passed: usize,
}

/// Loads `directory` and runs its tests. Findings name files with the directory before them, as editors want it.
pub(super) fn examine(directory: &Path) -> Examined {
    let mut examined = Examined { findings: Vec::new(), policies: 0, hosts: 0, passed: 0 };
    match policies::read(directory).and_then(|sources| Ok((Policies::load(&sources)?, sources))) {
        Err(findings) => examined.findings = findings,
        Ok((policies, sources)) => {
            examined.policies = policies.len();
            examined.hosts = policies.inventory().hosts().len();
            let (failed, ran) = policies::failed_tests(&policies, &sources);
            examined.passed = ran - failed.len();
            examined.findings = failed;
        }
    }
    for finding in &mut examined.findings {
        finding.file = directory.join(&finding.file).display().to_string();
    }
    examined
}

impl Examined {
    fn told(&self, directory: &Path) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        for finding in &self.findings {
            writeln!(text, "{finding}")?;
        }
        let Self { findings, policies, hosts, passed } = self;
        match findings.len() {
            0 => writeln!(text, "{}: {policies} policies, {hosts} hosts, {passed} tests passed", directory.display())?,
            1 => writeln!(text, "1 finding")?,
            many => writeln!(text, "{many} findings")?,
        }
        Ok(text)
    }
}

/// A finding for programs.
pub(super) fn finding(finding: &Finding) -> serde_json::Value {
    let Finding { file, line, column, message, hint } = finding;
    json!({"file": file, "line": line, "column": column, "message": message, "hint": hint})
}
