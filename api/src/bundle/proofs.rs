//! Is it in the log? Signature, witnesses, and the inclusion of each entry.

use super::{Bundle, Faults};
use crate::{
    export,
    proof::{
        checkpoint::Checkpoint,
        note::{Kind, Note, Verifier},
        tree,
    },
};

/// The checkpoint and who witnessed it, if the log's key signed it. Entries that are not in it are faults.
pub(super) fn check(
    bundle: &Bundle,
    key: &Verifier,
    witnesses: &[Verifier],
    faults: &mut Faults,
) -> Option<(Checkpoint, Vec<(String, u64)>)> {
    if key.kind() != Kind::Text {
        faults.add(None, "the key is a witness', not a log's");
        return None;
    }
    let checkpoint = match Checkpoint::verify(&bundle.checkpoint, key) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            faults.add(None, format!("the checkpoint is not this log's: {error}"));
            return None;
        }
    };
    let witnessed = witnesses.iter().filter_map(|witness| cosigned(&bundle.checkpoint, witness, faults)).collect();
    let mut last = None;
    for line in &bundle.lines {
        if last.is_some_and(|last| line.index <= last) {
            faults.at(line.index, "it is not in its place: entries stand in the order of the log");
        }
        last = Some(line.index);
        let leaf = tree::leaf(line.entry.as_bytes());
        let proof: Option<Vec<_>> = line.proof.iter().map(|hash| export::hash(hash)).collect();
        if export::hash(&line.leaf) != Some(leaf) {
            faults.at(line.index, "changed: its bytes have another hash than is written beside it");
        } else if !proof
            .is_some_and(|proof| tree::included(&leaf, line.index, checkpoint.size, &proof, &checkpoint.root))
        {
            faults.at(
                line.index,
                "its proof does not lead to the signed root: this is not the entry that the log holds there",
            );
        }
    }
    Some((checkpoint, witnessed))
}

fn cosigned(note: &str, witness: &Verifier, faults: &mut Faults) -> Option<(String, u64)> {
    if witness.kind() != Kind::Cosignature {
        faults.add(None, format!("the key of {} is not a witness'", witness.name()));
        return None;
    }
    match Note::parse(note).and_then(|note| note.verify(witness).map(|(_, time)| time)) {
        Ok(time) => Some((witness.name().to_owned(), time.unwrap_or_default())),
        Err(error) => {
            faults.add(None, format!("the witness {} did not cosign it: {error}", witness.name()));
            None
        }
    }
}
