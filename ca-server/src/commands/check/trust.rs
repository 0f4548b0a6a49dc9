//! What a configuration may say and yet opens more than was meant.

use super::{Report, Weight};
use ca_server::{
    audit::CODES,
    config::{
        Config,
        issuer::{self, IssuerKind, Required},
        sink::CodePattern,
    },
    policies,
};
use policy::{Network, Policies};
use std::collections::BTreeSet;

/// Proxies: whoever is one may claim any address.
pub(super) fn proxies(config: &Config, report: &mut Report<'_>) {
    for network in config.listen.trusted_proxies.iter().filter(|network| is_broad(network)) {
        let message = format!("listen.trusted_proxies names {network}: every machine there may claim any address");
        let hint = "name the addresses of your own proxies";
        report.add(Weight::Warning, ("listen", "trusted_proxies"), message, hint);
    }
}

/// Several issuers for people: that two accounts are one person is known by their addresses alone.
pub(super) fn one_person(config: &Config, report: &mut Report<'_>) {
    let several = issuer::for_people(&config.issuer) > 1;
    for of in config.issuer.iter().filter(|of| several && of.kind == IssuerKind::People) {
        let (url, at) = (&of.url, ("issuer", "require_claims"));
        if issuer::required(of, &config.issuer).contains(&Required::Email) {
            let message =
                format!("tokens of {url} must carry a verified e-mail address, since people log in at several issuers");
            report.add(
                Weight::Note,
                at,
                message,
                "`require_claims` of the [[issuer]] says what else, or less: docs/ISSUERS.md",
            );
        } else {
            let message = format!(
                "tokens of {url} need no verified e-mail address, so nothing tells that an account there is a person's second"
            );
            let hint = "require_claims = [\"email\"], unless nobody has accounts at two of these issuers: else one person may be two approvers";
            report.add(Weight::Warning, at, message, hint);
        }
    }
}

fn is_broad(network: &Network) -> bool {
    let text = network.to_string();
    let bits = text.rsplit_once('/').and_then(|(_, bits)| bits.parse::<u8>().ok()).unwrap_or(0);
    bits < if text.contains(':') { 32 } else { 8 }
}

/// Files in the policy directory that others can write: the server would not start with them.
pub(super) fn policy_files(config: &Config, report: &mut Report<'_>) {
    for finding in policies::writable_by_others(&config.policy.directory) {
        let file = config.policy.directory.join(&finding.file).display().to_string();
        report.findings.push((Weight::Error, policy::Finding { file, ..finding }));
    }
}

/// Tags of workloads that policies look at and no token brings: a permit never permits, and a forbid never forbids.
pub(super) fn tags(config: &Config, report: &mut Report<'_>) {
    let issuers: Vec<_> = config.issuer.iter().filter(|issuer| issuer.kind == IssuerKind::Workload).collect();
    let Ok(sources) = policies::read(&config.policy.directory) else { return };
    if issuers.is_empty() {
        return;
    }
    let used: BTreeSet<String> = sources.policies.iter().flat_map(|source| tags_in(&source.text)).collect();
    for tag in used {
        let lacking: Vec<_> =
            issuers.iter().filter(|issuer| !issuer.claims.contains(&tag)).map(|issuer| issuer.url.as_str()).collect();
        if !lacking.is_empty() {
            let message = format!(
                "policies look at the tag \"{}\" of workloads, but these issuers do not list that claim: {}",
                tag.escape_debug(),
                lacking.join(", ")
            );
            let hint = "add it to their `claims`: without it a forbid that looks at it never fires";
            report.add(Weight::Warning, ("issuer", "claims"), message, hint);
        }
    }
}

/// Channels that policies want told and that no sink lists: what is to be loud would be silent.
pub(super) fn channels(config: &Config, report: &mut Report<'_>) {
    let Some(policies) = policies::read(&config.policy.directory).ok().and_then(|read| Policies::load(&read).ok())
    else {
        return;
    };
    let unheard: Vec<&str> = policies
        .channels()
        .into_iter()
        .filter(|channel| !config.sink.iter().any(|sink| sink.is_for(channel)))
        .collect();
    if !unheard.is_empty() {
        let message = format!("policies notify channels that no sink lists: {}", unheard.join(", "));
        let hint = "give a [[sink]] notify = [\"…\"] (docs/SINKS.md)";
        report.add(Weight::Warning, ("sink", "notify"), message, hint);
    }
}

/// Codes that no entry bears: a sink that waits for them is silent for ever.
pub(super) fn codes(config: &Config, report: &mut Report<'_>) {
    for sink in &config.sink {
        let unknown = sink.codes.iter().filter(|pattern| !CODES.iter().any(|code| pattern.takes(code)));
        let unknown: Vec<&str> = unknown.map(CodePattern::as_str).collect();
        if !unknown.is_empty() {
            let message =
                format!("sink {}: no entry has a code such as {}", sink.name.get_ref().as_str(), unknown.join(", "));
            report.add(Weight::Warning, ("sink", "codes"), message, "docs/AUDIT.md lists the codes");
        }
    }
}

/// The names in `hasTag("…")` and `getTag("…")`, comments left out.
fn tags_in(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let names = code.split("Tag(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{codes, is_broad, one_person, tags_in};
    use crate::commands::check::{Report, Weight};
    use ca_server::config::Config;
    use std::path::Path;

    #[test]
    fn it_is_said_what_tokens_must_carry_where_people_log_in_at_several_issuers() {
        let issuer = |n: u8, more: &str| {
            format!("[[issuer]]\nurl = \"https://{n}.example\"\nclient_id = \"c\"\ngroup_prefix = \"{n}:\"\n{more}\n")
        };
        let weights = |issuers: &str| {
            let text = format!("audience = \"https://ca.example.com\"\n{issuers}");
            let config = Config::parse("c.toml", &text, Path::new("/d")).unwrap();
            let mut report = Report { file: Path::new("c.toml"), text: &text, findings: Vec::new() };
            one_person(&config, &mut report);
            report.findings.into_iter().map(|(weight, _)| weight).collect::<Vec<_>>()
        };
        assert_eq!(weights(&issuer(1, "")), []);
        assert_eq!(weights(&(issuer(1, "") + &issuer(2, ""))), [Weight::Note, Weight::Note]);
        let less = issuer(2, "require_claims = [\"groups\"]");
        assert_eq!(weights(&(issuer(1, "") + &less)), [Weight::Note, Weight::Warning]);
    }

    #[test]
    fn a_sink_that_waits_for_what_never_comes_is_named() {
        let found = |codes_of_it: &str| {
            let sink = format!("[[sink]]\nname = \"s\"\nkind = \"file\"\npath = \"p\"\ncodes = {codes_of_it}\n");
            let text = format!("audience = \"https://ca.example.com\"\n{sink}");
            let config = Config::parse("c.toml", &text, Path::new("/d")).unwrap();
            let mut report = Report { file: Path::new("c.toml"), text: &text, findings: Vec::new() };
            codes(&config, &mut report);
            report.findings.into_iter().map(|(_, finding)| finding.to_string()).collect::<String>()
        };
        assert_eq!(found(r#"["*", "request.*", "login.refused"]"#), "");
        let said = found(r#"["request.filled", "login.*", "logon.*"]"#);
        assert!(said.contains("request.filled, logon.*") && !said.contains("login"), "{said}");
    }

    #[test]
    fn tags_are_found_where_policies_look_at_them() {
        let text = "permit (principal, action, resource)\n// .hasTag(\"no\")\nwhen { principal.hasTag( \"ref\") && \
                    principal.getTag(\"a.b\") == \"x\" && principal.hasTag(context.x) };";
        assert_eq!(tags_in(text), ["ref", "a.b"]);
    }

    #[test]
    fn a_network_is_broad_that_nobody_owns() {
        for (network, broad) in [
            ("10.0.0.0/8", false),
            ("8.0.0.0/7", true),
            ("2001:db8::/32", false),
            ("2000::/3", true),
            ("::1/128", false),
        ] {
            assert_eq!(is_broad(&network.parse().unwrap()), broad, "{network}");
        }
    }
}
