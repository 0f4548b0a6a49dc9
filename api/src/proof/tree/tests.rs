//! Against an independent implementation (ct-merkle) and the recursive definition of RFC 6962.

use super::{Frontier, Hash, Plan, consistent, included, leaf, node, places};
use ct_merkle::{InclusionProof, mem_backed_tree::MemoryBackedTree};
use proptest::{prelude::*, sample::Index};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;

/// A tree as a store keeps it.
#[derive(Default)]
struct Kept {
    frontier: Frontier,
    hashes: Vec<Hash>,
}

impl Kept {
    fn of(entries: &[Vec<u8>]) -> Self {
        let mut kept = Self::default();
        for entry in entries {
            let Kept { frontier, hashes } = &mut kept;
            let Ok(()) = frontier.push(leaf(entry), |place, hash| {
                assert_eq!(place, hashes.len() as u64, "places come in order, without a hole");
                hashes.push(*hash);
                Ok::<(), Infallible>(())
            });
        }
        kept
    }

    fn proof(&self, plan: &Plan) -> Vec<Hash> {
        let read: Vec<Hash> = plan.places().iter().map(|place| self.hashes[at(*place)]).collect();
        plan.proof(&read).unwrap()
    }
}

fn at(place: u64) -> usize {
    place.try_into().unwrap()
}

fn entries(size: usize) -> Vec<Vec<u8>> {
    (0..size).map(|n| format!("entry {n}").into_bytes()).collect()
}

/// MTH of RFC 6962 section 2.1, word for word.
fn root(entries: &[Vec<u8>]) -> Hash {
    match entries {
        [] => Sha256::digest([]).into(),
        [one] => leaf(one),
        more => {
            let (left, right) = more.split_at(1 << (more.len() - 1).ilog2());
            node(&root(left), &root(right))
        }
    }
}

fn theirs(entries: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    entries.iter().for_each(|entry| tree.push(entry.clone()));
    tree
}

#[test]
fn the_roots_of_rfc_6962_come_out() {
    // The test vectors of the reference implementation of Certificate Transparency.
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let all: Vec<Vec<u8>> = leaves.iter().map(|leaf| hex(leaf)).collect();
    for (size, expected) in (1..).zip(roots) {
        assert_eq!(Kept::of(&all[..size]).frontier.root().to_vec(), hex(expected), "{size} leaves");
    }
    assert_eq!(Frontier::default().root(), root(&[]));
}

#[test]
fn every_small_tree_agrees_with_the_definition_and_with_ct_merkle() {
    for size in 0..70 {
        let all = entries(size);
        let (kept, other) = (Kept::of(&all), theirs(&all));
        assert_eq!(kept.frontier.root(), root(&all), "{size}");
        assert_eq!(kept.frontier.root().as_slice(), other.root().as_bytes().as_slice(), "{size}");
        assert_eq!(kept.hashes.len() as u64, places(size as u64));
        let peaks = Frontier::kept_at(size as u64).iter().map(|place| kept.hashes[at(*place)]).collect();
        assert_eq!(
            Frontier::new(size as u64, peaks).as_ref(),
            Some(&kept.frontier),
            "{size}: restored from what is kept"
        );
        for (index, entry) in all.iter().enumerate() {
            let proof = kept.proof(&Plan::inclusion(index as u64, size as u64).unwrap());
            assert_eq!(proof.concat(), other.prove_inclusion(index).as_bytes(), "{index} of {size}");
            assert!(included(&leaf(entry), index as u64, size as u64, &proof, &kept.frontier.root()));
        }
        for from in 0..=size {
            let proof = kept.proof(&Plan::consistency(from as u64, size as u64).unwrap());
            if from > 0 {
                let expected = other.prove_consistency(size - from);
                assert_eq!(proof.concat(), expected.as_bytes(), "{from} to {size}");
            }
            let old = root(&all[..from]);
            assert!(consistent(from as u64, &old, size as u64, &kept.frontier.root(), &proof), "{from} to {size}");
        }
    }
    assert_eq!((Plan::inclusion(3, 3), Plan::consistency(4, 3)), (None, None));
}

proptest! {
    #[test]
    fn a_proof_that_was_touched_proves_nothing(
        size in 1_usize..600, index: Index, from: Index, spot: Index, bit in 0_u8..8, byte in 0_usize..32, how in 0_u8..5,
    ) {
        let all = entries(size);
        let kept = Kept::of(&all);
        let root = kept.frontier.root();
        let (number, index) = (size as u64, index.index(size) as u64);
        let spoil = |proof: &mut Vec<Hash>| match how {
            _ if proof.is_empty() => proof.push([0; 32]),
            0 => { let at = spot.index(proof.len()); proof[at][byte] ^= 1 << bit; }
            1 => drop(proof.pop()),
            2 => drop(proof.remove(0)),
            3 => proof.push(proof[spot.index(proof.len())]),
            _ => { let at = spot.index(proof.len()); proof.insert(at, [7; 32]); }
        };

        let hash = leaf(&all[at(index)]);
        let mut proof = kept.proof(&Plan::inclusion(index, number).unwrap());
        prop_assert!(included(&hash, index, number, &proof, &root));
        prop_assert!(InclusionProof::<Sha256>::try_from_bytes(proof.concat()).is_ok());
        prop_assert!(!included(&leaf(b"another"), index, number, &proof, &root));
        prop_assert!(!included(&hash, index, number, &proof, &[1; 32]));
        if size > 1 {
            prop_assert!(!included(&hash, (index + 1) % number, number, &proof, &root));
        }
        prop_assert!(!included(&hash, index + number, number, &proof, &root));
        spoil(&mut proof);
        prop_assert!(!included(&hash, index, number, &proof, &root));

        let from = 1 + from.index(size) as u64;
        let old = Kept::of(&all[..at(from)]).frontier.root();
        let mut proof = kept.proof(&Plan::consistency(from, number).unwrap());
        prop_assert!(consistent(from, &old, number, &root, &proof));
        prop_assert!(!consistent(from, &[2; 32], number, &root, &proof), "a fork");
        prop_assert!(!consistent(from, &old, number, &[2; 32], &proof), "a fork");
        prop_assert!(from == number || !consistent(number, &root, from, &old, &proof), "a rollback");
        spoil(&mut proof);
        prop_assert!(!consistent(from, &old, number, &root, &proof));
    }

    #[test]
    fn hostile_numbers_and_proofs_end(index: u64, size: u64, from: u64, proof in proptest::collection::vec(any::<Hash>(), 0..70)) {
        prop_assert!(!included(&[0; 32], index, size, &proof, &[1; 32]));
        prop_assert!(from == 0 || !consistent(from, &[0; 32], size, &[1; 32], &proof));
        if let Some(plan) = Plan::inclusion(index, size >> 2) {
            prop_assert!(plan.places().len() <= 62 * 62);
        }
        let _bounded = Plan::consistency(from, size >> 2);
    }
}
