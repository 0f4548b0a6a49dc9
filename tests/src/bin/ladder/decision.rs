//! (b): one decision, on one thread, with more and more policies.

use crate::{
    measure::Effort,
    report::{Aim, Report},
    stage,
};
use anyhow::Result;
use std::{hint::black_box, time::Instant};

pub fn climb(effort: &Effort, report: &mut Report) -> Result<()> {
    let mut at_100 = 0.0;
    for count in [10, 100, 1_000, 10_000] {
        let (policies, ask, now) = (stage::policies(count)?, stage::ask()?, stage::moment());
        stage::grant(&policies)?;
        let (started, mut rounds) = (Instant::now(), 0u32);
        while started.elapsed() < effort.time / 4 {
            for _ in 0..64 {
                black_box(policy::decide(black_box(&policies), black_box(&ask), now));
            }
            rounds += 64;
        }
        let micros = started.elapsed().as_secs_f64() / f64::from(rounds) * 1e6;
        report.micros(&format!("b  one decision, {count} policies"), micros, Aim::AtMost(25.0));
        match count {
            100 => at_100 = micros,
            10_000 => report.factor("b  10,000 policies against 100", micros / at_100, Aim::AtMost(1.5)),
            _ => {}
        }
    }
    Ok(())
}
