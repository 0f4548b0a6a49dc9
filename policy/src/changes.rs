//! What differs between two policy sets, by policy and by host.

use crate::{Host, HostName, Policies, PolicyId, engine::rule::Rule};
use cedar_policy::Policy;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that differs, sorted by id and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Policies that came, went or changed.
    pub policies: Vec<PolicyChange>,
    /// Hosts that came, went or changed.
    pub hosts: Vec<HostChange>,
}

/// A policy that is in one set alone, or is another in each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyChange {
    /// Its id.
    pub policy: PolicyId,
    /// What became of it.
    pub how: How,
    /// In what it changed.
    pub differences: Vec<Difference>,
}

/// A host that is in one inventory alone, or is another in each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HostChange {
    /// Its name.
    pub host: HostName,
    /// What became of it.
    pub how: How,
    /// In what it changed.
    pub differences: Vec<Difference>,
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The new set alone has it.
    Added,
    /// The old set alone has it.
    Removed,
    /// Both have it, not the same.
    Changed,
}

/// One part of something that changed: `scope` (with permit or forbid), `conditions`, an annotation such as `@approvals`, or
/// a member of a host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Which part.
    pub part: String,
    /// What it was; none where there was none.
    pub old: Option<String>,
    /// What it is; none where there is none.
    pub new: Option<String>,
}

/// What differs between `old` and `new`.
pub fn changes(old: &Policies, new: &Policies) -> Changes {
    let by_id = |set: &'_ Policies| -> BTreeMap<PolicyId, usize> {
        set.rules().iter().enumerate().map(|(at, rule)| (rule.id.clone(), at)).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    let ids: BTreeSet<&PolicyId> = before.keys().chain(after.keys()).collect();
    let rule = |set: &'_ Policies, at: Option<&usize>| at.and_then(|at| set.rules().get(*at)).map(parts);
    let policies = ids.into_iter().filter_map(|id| {
        let (old, new) = (rule(old, before.get(id)), rule(new, after.get(id)));
        let (how, differences) = compared(old, new)?;
        Some(PolicyChange { policy: id.clone(), how, differences })
    });
    let named = |set: &Policies| -> BTreeMap<HostName, Parts> {
        set.inventory().hosts().map(|host| (host.name().clone(), members(host))).collect()
    };
    let (mut before, mut after) = (named(old), named(new));
    let names: BTreeSet<HostName> = before.keys().chain(after.keys()).cloned().collect();
    let hosts = names.into_iter().filter_map(|host| {
        let (how, differences) = compared(before.remove(&host), after.remove(&host))?;
        Some(HostChange { host, how, differences })
    });
    Changes { policies: policies.collect(), hosts: hosts.collect() }
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.hosts.is_empty()
    }
}

/// What something is made of, by the names that people know the parts by.
type Parts = BTreeMap<String, String>;

fn compared(old: Option<Parts>, new: Option<Parts>) -> Option<(How, Vec<Difference>)> {
    let how = match (&old, &new) {
        (None, None) => return None,
        (None, Some(_)) => How::Added,
        (Some(_), None) => How::Removed,
        (Some(old), Some(new)) if old == new => return None,
        (Some(_), Some(_)) => How::Changed,
    };
    let (mut old, mut new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let names: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    let differences = names.into_iter().filter_map(|part| {
        let (old, new) = (old.remove(&part), new.remove(&part));
        // Compared as it is, shown on one line.
        let line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        (old != new).then(|| Difference { part, old: old.map(line), new: new.map(line) })
    });
    Some((how, differences.collect()))
}

/// A policy's parts, each in Cedar's own words, so that another layout or comment is no difference.
fn parts(rule: &Rule) -> Parts {
    let mut parts = Parts::new();
    let Ok(Value::Object(json)) = rule.cedar.to_json() else {
        // Cedar cannot write it: then its text is all there is to compare.
        parts.insert("policy".to_owned(), rule.cedar.to_string());
        return parts;
    };
    if let Some(Value::Object(annotations)) = json.get("annotations") {
        let annotations = annotations.iter().filter(|(name, _)| *name != "id");
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        parts.extend(annotations.map(|(name, value)| (format!("@{name}"), text(value))));
    }
    let scope = written(&json, &["effect", "principal", "action", "resource"]);
    parts.insert("scope".to_owned(), scope.trim().trim_end_matches(';').to_owned());
    let conditions = written(&json, &["conditions"]);
    let conditions = conditions.split_once(')').map_or(conditions.as_str(), |(_, after)| after);
    let conditions = conditions.trim().trim_end_matches(';');
    if !conditions.is_empty() {
        parts.insert("conditions".to_owned(), conditions.to_owned());
    }
    parts
}

/// Cedar's text of a policy that has these members alone.
fn written(json: &Map<String, Value>, members: &[&str]) -> String {
    let all = json!({"op": "All"});
    let mut bare = json!({"effect": "permit", "principal": all, "action": all, "resource": all, "conditions": []});
    for member in members {
        if let (Some(value), Some(place)) = (json.get(*member), bare.get_mut(*member)) {
            *place = value.clone();
        }
    }
    let text = Policy::from_json(None, bare.clone()).ok().and_then(|policy| policy.to_cedar());
    text.unwrap_or_else(|| bare.to_string())
}

fn members(host: &Host) -> Parts {
    let mut parts = Parts::new();
    let list = |all: &mut dyn Iterator<Item = &str>| all.collect::<Vec<_>>().join(", ");
    let mut put = |name: &str, text: String| {
        if !text.is_empty() {
            parts.insert(name.to_owned(), text);
        }
    };
    put("accounts", list(&mut host.accounts().iter().map(crate::Account::as_str)));
    put("groups", list(&mut host.groups().iter().map(crate::HostGroup::as_str)));
    put("aliases", list(&mut host.aliases().iter().map(HostName::as_str)));
    put("address", host.address().unwrap_or_default().to_owned());
    put("port", host.port().to_string());
    put("binding", if host.binding() == crate::Binding::Account { "account" } else { "host" }.to_owned());
    for (name, value) in host.labels() {
        put(&format!("label {name}"), value.clone());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit;

    const OLD: &str = r#"
        @id("same") permit (principal, action == Action::"audit", resource);
        @id("gone") forbid (principal in Group::"dev", action == Action::"connect", resource);
        @id("sre") @max_duration("1h") @reason("required")
        permit (principal in Group::"sre", action == Action::"connect", resource in HostGroup::"web") when { context.mfa };
    "#;
    const NEW: &str = r#"
        // A comment, and another layout, is no difference.
        @id("same")
        permit (principal,
                action == Action::"audit", resource);
        @id("new") permit (principal, action == Action::"administer", resource);
        @id("sre") @max_duration("2h") @approvals("1")
        permit (principal in Group::"ops", action == Action::"connect", resource in HostGroup::"web")
        when { context.mfa } unless { context.duration > 60 };
    "#;

    #[test]
    fn each_part_that_differs_is_told_and_no_other() {
        let found = changes(&kit::load(OLD), &kit::load(NEW));
        let told: Vec<(&str, How)> = found.policies.iter().map(|change| (change.policy.as_str(), change.how)).collect();
        assert_eq!(told, [("gone", How::Removed), ("new", How::Added), ("sre", How::Changed)]);
        let parts: Vec<(&str, Option<&str>, Option<&str>)> = found.policies[2]
            .differences
            .iter()
            .map(|one| (one.part.as_str(), one.old.as_deref(), one.new.as_deref()))
            .collect();
        assert_eq!(
            parts[..3],
            [
                ("@approvals", None, Some("1")),
                ("@max_duration", Some("1h"), Some("2h")),
                ("@reason", Some("required"), None)
            ]
        );
        assert_eq!(parts[3].0, "conditions");
        assert!(
            parts[3].1.unwrap().starts_with("when {") && parts[3].2.unwrap().contains("context.duration"),
            "{parts:?}"
        );
        let scope = parts[4].2.unwrap();
        assert!(parts[4].0 == "scope" && scope.contains("Group::\"ops\"") && scope.starts_with("permit"), "{scope}");
        assert!(found.hosts.is_empty());
        assert!(changes(&kit::load(OLD), &kit::load(OLD)).is_empty());
    }
}
