//! Who may operate the service and who may read its records: policy too, on `Service::"jit-ssh"`.

use crate::{Identity, Now, Policies, engine::names::Duty};
use std::net::IpAddr;

/// Whether policy lets `identity`, coming from `source`, operate the service: `Action::"administer"`.
pub fn administers(policies: &Policies, identity: &Identity, source: IpAddr, now: Now) -> bool {
    has(policies, Duty::Administer, identity, source, now)
}

/// Whether policy lets `identity`, coming from `source`, read the audit log: `Action::"audit"`.
pub fn audits(policies: &Policies, identity: &Identity, source: IpAddr, now: Now) -> bool {
    has(policies, Duty::Audit, identity, source, now)
}

/// A permit that names the action, no forbid, and nothing that cannot be evaluated. A permit of any action whatever is
/// meant for accounts, and gives no power over the service.
fn has(policies: &Policies, duty: Duty, identity: &Identity, source: IpAddr, now: Now) -> bool {
    let Ok(verdict) = policies.ask_of_duty(duty, identity, source, now) else { return false };
    let permitted = verdict.permits.iter().any(|rule| rule.names_actions());
    permitted && verdict.forbids.is_empty() && verdict.failed.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{self, NOW};

    fn duties(policies: &str) -> (bool, bool) {
        let (set, who) = (kit::load(policies), kit::ask(&["ops"], "deploy@web-1").identity);
        let source = [192, 0, 2, 1].into();
        (administers(&set, &who, source, NOW), audits(&set, &who, source, NOW))
    }

    #[test]
    fn duties_are_permitted_by_name_and_refused_in_doubt() {
        let of = |action: &str, rest: &str| {
            format!(
                "@id(\"{action}\") permit (principal in Group::\"ops\", action == Action::\"{action}\", resource){rest};\n"
            )
        };
        let rows: Vec<(&str, String, (bool, bool))> = vec![
            ("nothing", String::new(), (false, false)),
            ("one", of("administer", ""), (true, false)),
            ("other", of("audit", ""), (false, true)),
            (
                "on the service",
                of("audit", "").replace("resource)", "resource == Service::\"jit-ssh\")"),
                (false, true),
            ),
            ("another group", of("audit", "").replace("ops", "dev"), (false, false)),
            ("by circumstances", of("administer", " when { context.mfa && context.source.isIpv4() }"), (true, false)),
            ("from elsewhere", of("audit", " when { context.source.isLoopback() }"), (false, false)),
            ("any action", "@id(\"any\") permit (principal, action, resource);".into(), (false, false)),
            ("forbidden", of("audit", "") + "@id(\"no\") forbid (principal, action, resource);", (false, false)),
            (
                "not evaluable",
                of("audit", "")
                    + &of("audit", " when { context.time * 9223372036854775807 > 1 }")
                        .replace("@id(\"audit", "@id(\"f"),
                (false, false),
            ),
        ];
        for (name, policies, expect) in rows {
            assert_eq!(duties(&policies), expect, "{name}");
        }
    }
}
