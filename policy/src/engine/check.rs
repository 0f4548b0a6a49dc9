//! What a policy names must exist: a forbid on a misspelt group of hosts would forbid nothing, and nobody would know.

use super::rule::Rule;
use crate::{Finding, HostName, Inventory, Source, Target, source::suggestion};
use cedar_policy::{EntityUid, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::HashMap;

/// Findings about the names in `rule`, against the inventory.
pub(super) fn names(rule: &Rule, inventory: &Inventory) -> Vec<Finding> {
    let wrong =
        |(message, hint): (String, String)| rule.place.finding(format!("policy `{}`: {message}", rule.id), hint);
    rule.cedar.entity_literals().iter().filter_map(|literal| name(literal, inventory)).map(wrong).collect()
}

fn name(literal: &EntityUid, inventory: &Inventory) -> Option<(String, String)> {
    let id = literal.id().unescaped();
    match literal.type_name().basename() {
        "HostGroup" if !inventory.declares(id) => Some((
            format!("HostGroup::\"{id}\" is not declared in groups.toml"),
            suggestion(id, inventory.groups().map(crate::HostGroup::as_str)),
        )),
        "Host" => match id.parse::<HostName>().ok().and_then(|name| inventory.host(&name)) {
            Some(host) if host.name().as_str() == id => None,
            Some(host) => Some((
                format!("Host::\"{id}\" is another name of `{}`", host.name()),
                format!("write Host::\"{}\"", host.name()),
            )),
            None => Some((
                format!("Host::\"{id}\" is not in hosts.toml"),
                suggestion(id, inventory.hosts().map(|host| host.name().as_str())),
            )),
        },
        "Account" => {
            let target = id.parse::<Target>().ok();
            let host = target.as_ref().and_then(|target| inventory.host(target.host()));
            let known = target.as_ref().zip(host).is_some_and(|(target, host)| {
                host.name() == target.host() && target.to_string() == id && host.accounts().contains(target.account())
            });
            (!known).then(|| {
                (format!("Account::\"{id}\" is not in hosts.toml"), "write account@host, by the host's name".to_owned())
            })
        }
        "User" | "Workload" => id
            .split_once(' ')
            .is_none_or(|(issuer, subject)| {
                issuer.parse::<crate::Issuer>().is_err() || subject.parse::<crate::Subject>().is_err()
            })
            .then(|| {
                (
                    format!("\"{id}\" names no identity"),
                    "write User::\"https://issuer.example.com subject\", one space between".to_owned(),
                )
            }),
        "Service" if id != "jit-ssh" => {
            Some((format!("Service::\"{id}\" is not known"), "write Service::\"jit-ssh\"".to_owned()))
        }
        "Request" => Some(("a policy cannot name one request".to_owned(), "write `resource is Request`".to_owned())),
        _ => None,
    }
}

/// Findings of Cedar's validator, strict; its warnings (policies that can never match, hidden characters) refuse too.
pub(super) fn types(schema: &Schema, rules: &[Rule], set: &PolicySet) -> Vec<Finding> {
    let by_id: HashMap<&str, &Rule> = rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| (error.policy_id().to_string(), error as &dyn Diagnostic));
    let warnings =
        result.validation_warnings().map(|warning| (warning.policy_id().to_string(), warning as &dyn Diagnostic));
    let finding = |(id, diagnostic): (String, &dyn Diagnostic)| {
        let prefix = format!("for policy `{id}`, ");
        let message = diagnostic.to_string();
        let message = message.strip_prefix(&prefix).unwrap_or(&message);
        match by_id.get(id.as_str()) {
            Some(rule) => {
                let mut finding = diagnosed(&rule.place.source, diagnostic, rule.place.start);
                finding.message = format!("policy `{id}`: {message}");
                finding
            }
            None => Source::default().finding(0, message, ""),
        }
    };
    let mut findings: Vec<Finding> = errors.chain(warnings).take(Finding::MOST).map(finding).collect();
    findings.sort();
    findings.dedup();
    findings
}

/// A finding with the place and the help that Cedar gives.
pub(super) fn diagnosed(source: &Source, diagnostic: &dyn Diagnostic, otherwise: usize) -> Finding {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let start = label.as_ref().map_or(otherwise, |label| label.offset());
    let help = diagnostic.help().map(|help| help.to_string());
    let hint = help.or_else(|| label.and_then(|label| label.label().map(str::to_owned)));
    source.finding(start, diagnostic.to_string(), hint.unwrap_or_default())
}
