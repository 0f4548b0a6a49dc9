//! (a): build, sign and parse back one certificate, on all cores.

use crate::{
    measure::{Effort, on_all_cores},
    stage,
};
use anyhow::Result;
use ca_server::{
    ca::{Authority, UserKey},
    clock::{Clock as _, SystemClock, random},
    custody::CaKey,
};
use policy::{GrantId, Serial};
use ssh_key::{PrivateKey, private::Ed25519Keypair};
use std::hint::black_box;

pub fn per_second(effort: &Effort) -> Result<f64> {
    let authority = Authority::new(CaKey::from_seed([7; 32].into()));
    let grant = stage::grant(&stage::policies(100)?)?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[8; 32]));
    let key = UserKey::parse(&key.public_key().to_openssh()?)?;
    let id = GrantId::from_random([9; 12]);
    on_all_cores(effort.time, || {
        let (authority, grant, key, id) = (&authority, &grant, &key, &id);
        Ok(move || {
            let serial = u64::from_be_bytes(random().map_err(anyhow::Error::msg)?);
            let serial = Serial::from_random(serial | 1).ok_or_else(|| anyhow::anyhow!("no serial"))?;
            let unsigned = authority.prepare(grant, id, key, serial, SystemClock.now())?;
            black_box(authority.sign(&unsigned)?.release());
            Ok(())
        })
    })
}
