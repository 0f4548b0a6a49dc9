//! (b): one decision, on one thread, with more and more policies: asked for the first time, and asked again.

use crate::{
    measure::Effort,
    report::{Aim, Report},
    stage,
};
use anyhow::Result;
use policy::{Ask, Policies};
use std::{hint::black_box, time::Instant};

/// More people than answers are remembered of, so that nobody's is when their turn comes again.
const PEOPLE: u64 = 4_099;

pub fn climb(effort: &Effort, report: &mut Report) -> Result<()> {
    let mut asks = Vec::new();
    for n in 0..PEOPLE {
        asks.push(Ask { identity: stage::identity(n)?, ..stage::ask()? });
    }
    let mut at_100 = 0.0;
    for count in [10, 100, 1_000, 10_000] {
        let policies = stage::policies(count)?;
        stage::grant(&policies)?;
        let first = micros(effort, &policies, &asks);
        let again = micros(effort, &policies, asks.get(..1).unwrap_or_default());
        report.micros(&format!("b  one decision, {count} policies"), first, Aim::AtMost(25.0));
        report.micros(&format!("b  the same, asked again, {count} policies"), again, Aim::None);
        match count {
            100 => at_100 = first,
            10_000 => report.factor("b  10,000 policies against 100", first / at_100, Aim::AtMost(1.5)),
            _ => {}
        }
    }
    Ok(())
}

fn micros(effort: &Effort, policies: &Policies, asks: &[Ask]) -> f64 {
    let (now, started, mut rounds) = (stage::moment(), Instant::now(), 0u32);
    let mut turns = asks.iter().cycle();
    while started.elapsed() < effort.time / 8 {
        for ask in turns.by_ref().take(64) {
            black_box(policy::decide(black_box(policies), black_box(ask), now));
        }
        rounds += 64;
    }
    started.elapsed().as_secs_f64() / f64::from(rounds) * 1e6
}
