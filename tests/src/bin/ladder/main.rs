//! The ladder: how fast each step of an issue is, as a ratio of raw Ed25519 signatures on the same cores in the same run.
//! `./x bench` builds and runs it; `--quick` takes seconds and is good for a comparison only; `--store postgres` climbs (c) and
//! (d) once more on PostgreSQL and says how it stands to the file.

mod audit;
mod certificate;
mod client;
mod decision;
mod grant;
mod krl;
mod list;
mod load;
mod measure;
mod postgres;
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
    let (mut effort, mut rungs) = (Effort::full(), String::from("abcdefghik"));
    let mut postgres = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--store" if arguments.next().as_deref() == Some("postgres") => postgres = true,
            "--quick" => effort = Effort::quick(),
            some if some.bytes().all(|rung| b"abcdefghik".contains(&rung)) => rungs = argument,
            _ => bail!("usage: ladder [--quick] [--store postgres] [RUNGS], for example `ladder --quick ac`"),
        }
    }
    // On a real disk: a commit on tmpfs costs nothing and says nothing.
    let beside = std::env::current_exe()?.parent().map(PathBuf::from).context("the program lies nowhere")?;
    let place = tempfile::Builder::new().prefix("ladder-").tempdir_in(&beside)?;

    let mut report = Report::new();
    report.raw(raw::signatures_per_second(&effort)?);
    if rungs.contains('a') {
        report.ratio("a  build + sign + parse back, all cores", certificate::per_second(&effort)?, Aim::AtLeast(0.75));
    }
    if rungs.contains('b') {
        decision::climb(&effort, &mut report)?;
    }
    report.raw(raw::signatures_per_second(&effort)?);
    if rungs.contains('c') {
        verb::climb(&effort, place.path(), &mut report)?;
        report.raw(raw::signatures_per_second(&effort)?);
    }
    if rungs.contains(['g', 'h']) {
        grant::climb(&effort, place.path(), &mut report)?;
        report.raw(raw::signatures_per_second(&effort)?);
    }
    if rungs.contains('i') {
        list::climb(&effort, place.path(), &mut report)?;
    }
    if rungs.contains('f') {
        audit::climb(&effort, &beside, place.path(), &mut report)?;
    }
    if rungs.contains('k') {
        krl::climb(place.path(), &mut report)?;
    }
    if postgres {
        postgres::climb(&effort, &rungs, &beside, place.path(), &mut report)?;
        report.raw(raw::signatures_per_second(&effort)?);
    }
    if !rungs.contains(['d', 'e']) {
        report.print();
        return Ok(());
    }
    server::climb(&effort, &beside, place.path(), &mut report)?;
    report.raw(raw::signatures_per_second(&effort)?);
    let client = client::climb(&effort, &mut report);
    report.print();
    client
}
