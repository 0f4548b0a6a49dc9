//! Is this what was asked, and did people decide on exactly that? Requests, their digests, and the steps of their lives.

use super::{Faults, record::Record};
use crate::{
    digest::{hex, of_request},
    entry::{self, Beside, Fact},
};
use policy::{Digest, GrantId, RequestId};

/// What emergency access is filed by.
const OPENED: &str = "break-glass.opened";

/// Checks every request and step. Answers the request that the grant came of, if it came of one.
pub(super) fn check(
    record: &Record<'_>,
    about: &GrantId,
    faults: &mut Faults,
    doubts: &mut Vec<String>,
) -> Option<RequestId> {
    for (at, filed) in record.filed() {
        let digest = digest(at.text);
        if digest.is_none_or(|digest| hex(&digest.0) != filed.digest) {
            faults.at(at.index, "the digest of the request is not that of the request as it was filed");
        }
        if filed.id != filed.filed.id || !filed.actor.is(&filed.filed.requester) {
            faults.at(at.index, "the request is not of whom the entry names, or not under its id");
        }
        if (at.head.code == OPENED) != filed.filed.break_glass.is_some() || filed.beside != Beside::of(&filed.filed) {
            faults.at(at.index, "the entry says another thing than the request that it holds");
        }
        steps(record, &filed.id, digest, faults, doubts);
    }
    for (at, step) in record.steps() {
        if record.request(&step.id).is_none() {
            faults.at(at.index, format!("the bundle does not hold the request {} that this happened to", step.id));
        }
    }
    let root = about.request();
    record.request(&root).map(|_| root)
}

/// The digest of the request in an entry, over its bytes as they stand there.
pub(super) fn digest(text: &str) -> Option<Digest> {
    entry::member(text, "filed").map(|filed| of_request(filed.as_bytes()))
}

/// That no step before the last one shown is left out, and that each that names a digest names this request's.
fn steps(record: &Record<'_>, id: &RequestId, digest: Option<Digest>, faults: &mut Faults, doubts: &mut Vec<String>) {
    let (mut due, mut numbered) = (0, true);
    let of_this = |text: &str| entry::member(text, "id").is_some_and(|found| found.trim_matches('"') == id.as_str());
    for at in &record.entries {
        let known = at.fact.step().is_some_and(|step| step.id == *id);
        // A step of a kind that is not known here still has its number.
        let numbered_here = || at.head.step.is_some() && of_this(at.text);
        if !(known || numbered_here()) {
            continue;
        }
        match at.head.step {
            Some(step) if step == due => due += 1,
            Some(step) => {
                faults.at(at.index, format!("step {due} of {id} is missing before it, which is step {step}"));
                due = step + 1;
            }
            None => numbered = false,
        }
        let named = match &at.fact {
            Fact::Approved { approval, .. } => Some(approval.digest),
            Fact::Denied { digest, .. } | Fact::Claimed { digest, .. } | Fact::Reviewed { digest, .. } => {
                parsed(digest)
            }
            _ => continue,
        };
        if named.is_none() || named != digest {
            faults.at(at.index, format!("it names another digest than that of {id} as it was filed"));
        }
    }
    for (at, certificate) in record.certificates() {
        let before = record.entries.iter().take_while(|entry| entry.index < at.index);
        let shown = before.filter(|entry| entry.head.step.is_some() && of_this(entry.text)).count();
        let pinned = certificate.pinned.iter().find(|pinned| pinned.id == *id);
        if let Some(pinned) = pinned
            && pinned.steps != shown
        {
            faults.at(at.index, format!("{} steps of {id} came before it, and the bundle holds {shown}", pinned.steps));
        }
    }
    if !numbered {
        doubts.push(format!("that no step of {id} is left out: its entries are of a version that did not number them"));
    }
}

fn parsed(hex: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    let byte = |at: usize| hex.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    for (at, out) in digest.iter_mut().enumerate() {
        *out = byte(at)?;
    }
    (hex.len() == 64).then_some(Digest(digest))
}
