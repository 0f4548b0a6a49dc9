//! Which conditions of a policy are not met, piece by piece: `a && b` is two pieces, and a person needs to know which.

use crate::{Policies, engine::question::Told};
use cedar_policy::Policy;
use serde_json::{Value, json};

/// A condition longer than this is cut; its policy's id says where to read on.
const LONGEST: usize = 300;

/// Sentences, in the order of the policy.
pub(super) fn unmet(policies: &Policies, policy: &Policy, told: &Told) -> Vec<String> {
    let Ok(mut whole) = policy.to_json() else { return Vec::new() };
    let Some(Value::Array(clauses)) = whole.get_mut("conditions").map(Value::take) else { return Vec::new() };
    clauses.into_iter().flat_map(|clause| unmet_in(policies, clause, told)).collect()
}

/// `when` holds if all its pieces do; `unless` holds if none does.
fn unmet_in(policies: &Policies, mut clause: Value, told: &Told) -> Vec<String> {
    let unless = clause.get("kind").and_then(Value::as_str) == Some("unless");
    let body = clause.get_mut("body").map(Value::take).unwrap_or_default();
    let mut pieces = Vec::new();
    split(body, if unless { "||" } else { "&&" }, &mut pieces);
    let mut sentences = Vec::new();
    for piece in pieces {
        let alone = json!({
            "effect": "permit",
            "principal": { "op": "All" }, "action": { "op": "All" }, "resource": { "op": "All" },
            "conditions": [{ "kind": "when", "body": piece }],
        });
        let Ok(alone) = Policy::from_json(None, alone) else { continue };
        // A piece that cannot be evaluated by itself stands behind one that guards it (`has`): that one is the news.
        let news = match policies.holds(alone.clone(), told) {
            Some(holds) => holds == unless,
            None => sentences.is_empty(),
        };
        if news {
            let text = text(&alone);
            sentences.push(if unless {
                format!("must not hold: {text}")
            } else {
                format!("condition not met: {text}")
            });
        }
    }
    sentences
}

fn split(mut body: Value, by: &str, pieces: &mut Vec<Value>) {
    if body.get(by).is_none() {
        return pieces.push(body);
    }
    for side in ["left", "right"] {
        if let Some(half) = body.get_mut(by).and_then(|both| both.get_mut(side)).map(Value::take) {
            split(half, by, pieces);
        }
    }
}

/// What stands between the braces, on one line.
fn text(alone: &Policy) -> String {
    let whole = alone.to_cedar().unwrap_or_default();
    let inner = whole.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inner, _)| inner);
    let line = inner.split_whitespace().collect::<Vec<_>>().join(" ");
    let bare = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).filter(|bare| balanced(bare));
    let line = bare.unwrap_or(&line);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or("")),
        None => line.to_owned(),
    }
}

/// Whether the outer parentheses just taken off belonged together. Parentheses in strings may fool it, to no harm: the
/// text then keeps a pair it could do without.
fn balanced(bare: &str) -> bool {
    let mut depth = 0i32;
    bare.chars().all(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth >= 0
    }) && depth == 0
}
