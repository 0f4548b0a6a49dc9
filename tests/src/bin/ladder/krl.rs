//! (k): a hundred thousand revoked certificates, written by us and read by OpenSSH's own reader, as sshd reads it at each login.

use crate::report::{Aim, Report};
use anyhow::{Result, ensure};
use ca_server::{ca::krl::Krl, custody::CaKey};
use policy::{Serial, UnixTime};
use std::{path::Path, process::Command, time::Instant};

const MANY: u64 = 100_000;

pub fn climb(place: &Path, report: &mut Report) -> Result<()> {
    let ca = CaKey::from_seed([7; 32].into());
    let file = place.join("ca.pub");
    std::fs::write(&file, ca.public().to_openssh()?)?;
    for (name, number) in [("sparse", sparse as fn(u64) -> u64), ("clustered", clustered)] {
        let mut numbers: Vec<u64> = (0..MANY).map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let serials = numbers.into_iter().map(Serial::try_from).collect::<Result<Vec<_>, _>>()?;
        let started = Instant::now();
        let list = Krl::new(ca.public(), 1, UnixTime::from_secs(1), &serials)?;
        report.millis(&format!("k  100,000 revoked serials written, {name}"), millis(started), Aim::None);
        let krl = place.join("krl");
        std::fs::write(&krl, &list.bytes)?;
        let started = Instant::now();
        let read = Command::new("ssh-keygen").arg("-Qf").arg(&krl).arg(&file).output()?;
        ensure!(read.status.success(), "OpenSSH does not read the {name} list: {read:?}");
        report.millis(&format!("k  the same read by ssh-keygen -Q, {name}"), millis(started), Aim::None);
    }
    Ok(())
}

fn sparse(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1 | 1
}

fn clustered(n: u64) -> u64 {
    3 * n + 1
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
