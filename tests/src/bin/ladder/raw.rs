//! 1.00: raw ed25519-dalek signatures, one thread per core.

use crate::measure::{Effort, on_all_cores};
use anyhow::Result;
use ed25519_dalek::{Signer as _, SigningKey};
use std::hint::black_box;

pub fn signatures_per_second(effort: &Effort) -> Result<f64> {
    let key = SigningKey::from_bytes(&[7; 32]);
    on_all_cores(effort.time / 2, || {
        let key = &key;
        let mut message = [0u8; 32];
        Ok(move || {
            let signature = key.sign(black_box(&message));
            message.copy_from_slice(black_box(signature.r_bytes()));
            Ok(())
        })
    })
}
