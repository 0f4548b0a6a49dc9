//! The ladder: how fast each step of an issue is, as a ratio of raw Ed25519 signatures on the same cores in the same run.
//! `./x bench` builds and runs it; `--quick` takes seconds and is good for a comparison only.

mod certificate;
mod client;
mod decision;
mod load;
mod measure;
mod raw;
mod report;
mod server;
mod stage;
mod verb;

use anyhow::{Context as _, Result, bail};
use measure::Effort;
use report::{Aim, Report};
use std::path::PathBuf;

fn main() -> Result<()> {
    let effort = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => Effort::full(),
        [quick] if quick == "--quick" => Effort::quick(),
        _ => bail!("usage: ladder [--quick]"),
    };
    // On a real disk: a commit on tmpfs costs nothing and says nothing.
    let beside = std::env::current_exe()?.parent().map(PathBuf::from).context("the program lies nowhere")?;
    let place = tempfile::Builder::new().prefix("ladder-").tempdir_in(&beside)?;

    let mut report = Report::new();
    report.raw(raw::signatures_per_second(&effort)?);
    report.ratio("a  build + sign + parse back, all cores", certificate::per_second(&effort)?, Aim::AtLeast(0.75));
    report.raw(raw::signatures_per_second(&effort)?);
    decision::climb(&effort, &mut report)?;
    verb::climb(&effort, place.path(), &mut report)?;
    report.raw(raw::signatures_per_second(&effort)?);
    server::climb(&effort, &beside, place.path(), &mut report)?;
    report.raw(raw::signatures_per_second(&effort)?);
    client::climb(&effort, &mut report)?;
    report.print();
    Ok(())
}
