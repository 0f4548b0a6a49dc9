//! What the policies of a set name. A fact that none of them names cannot change an answer, and leaving it out saves
//! most of the cost of a decision: a policy set that never mentions `amr` need not have it told.

use super::rule::Rule;
use cedar_policy::EntityUid;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

#[derive(Debug, Default)]
pub(crate) struct Named {
    groups: HashMap<String, EntityUid>,
    attributes: HashSet<String>,
    tags: bool,
    /// The context is used as a whole, or a policy could not be read: then every fact is told.
    everything: bool,
}

impl Named {
    pub(super) fn by(rules: &[Rule]) -> Self {
        let mut named = Self::default();
        for rule in rules {
            let groups = rule.cedar.entity_literals().into_iter().filter(|uid| uid.type_name().basename() == "Group");
            named.groups.extend(groups.map(|uid| (uid.id().unescaped().to_owned(), uid)));
            match rule.cedar.to_json() {
                Ok(policy) => named.walk(policy.get("conditions").unwrap_or(&Value::Null)),
                Err(_) => named.everything = true,
            }
        }
        named
    }

    #[cfg(test)]
    pub(super) fn everything(self) -> Self {
        Self { everything: true, ..self }
    }

    /// The group of this name, if a policy names it.
    pub(super) fn group(&self, name: &str) -> Option<&EntityUid> {
        self.groups.get(name)
    }

    /// Whether a policy reads an attribute of this name, of whatever it may be.
    pub(super) fn attribute(&self, name: &str) -> bool {
        self.everything || self.attributes.contains(name)
    }

    /// Whether a policy reads tags.
    pub(super) fn tags(&self) -> bool {
        self.everything || self.tags
    }

    /// Cedar's JSON form of a condition: attributes can only be read by `.` and `has`, each with a fixed name.
    fn walk(&mut self, expression: &Value) {
        match expression {
            Value::Object(node) => {
                for (operator, operands) in node {
                    match (operator.as_str(), operands.get("attr").and_then(Value::as_str)) {
                        ("." | "has", Some(attribute)) => {
                            self.attributes.insert(attribute.to_owned());
                            let left = operands.get("left").unwrap_or(&Value::Null);
                            if left.get("Var").is_none() {
                                self.walk(left);
                            }
                        }
                        ("Var", _) if operands == "context" => self.everything = true,
                        ("hasTag" | "getTag", _) => {
                            self.tags = true;
                            self.walk(operands);
                        }
                        _ => self.walk(operands),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            _ => {}
        }
    }
}
