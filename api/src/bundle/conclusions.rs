//! What all of it proves, and what it does not.

use super::{certificate::Read, instant::instant, record::Record};
use crate::proof::checkpoint::Checkpoint;

/// What a bundle without a fault proves, and what it cannot.
pub(super) fn of(
    record: &Record<'_>,
    checkpoint: &Checkpoint,
    witnessed: &[(String, u64)],
    certificates: &[Read],
    doubts: Vec<String>,
) -> (Vec<String>, Vec<String>) {
    let count = record.entries.len();
    let mut proven = vec![format!(
        "each of these {count} entries is, byte for byte and at its number, in the log of {} whose first {} entries its key signed",
        checkpoint.origin, checkpoint.size
    )];
    for (name, time) in witnessed {
        proven.push(format!(
            "{name} saw this log continue what it had seen before, and cosigned it at {}",
            instant(*time)
        ));
    }
    if record.filed().next().is_some() {
        proven.push(
            "each approval, denial, first use and review names the digest of exactly the request that is shown"
                .to_owned(),
        );
    }
    if !certificates.is_empty() {
        proven.push(
            "each certificate is what was to be signed: its principals, validity, key id and options are within its grant, and \
             it is for the CA key that the server said was its own"
                .to_owned(),
        );
    }
    let numbered = record.certificates().any(|(_, certificate)| !certificate.pinned.is_empty());
    if numbered {
        proven.push("no step of the request before the last certificate that is shown is left out".to_owned());
    }
    if record.sets().next().is_some() && doubts.is_empty() {
        proven.push(
            "the policy sets are those that decided, and on these facts they decide so again, by this program's policy engine"
                .to_owned(),
        );
    }
    let mut not_proven = doubts;
    not_proven.push(
        "that nothing else happened: entries may be left out of a bundle, such as further certificates or an end after the last \
         entry. Who has the whole log can tell (ca-server audit verify)"
            .to_owned(),
    );
    if witnessed.is_empty() {
        not_proven.push(
            "that others see the same log: whoever holds its key can sign another. A witness' key (--witness-key) rules that out"
                .to_owned(),
        );
    }
    not_proven.push("what is outside the log: the server's clock, what the issuer said of people, that the certificates were released or used".to_owned());
    (proven, not_proven)
}
