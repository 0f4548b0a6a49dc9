//! `jit-ssh verify-bundle`: a grant from request to end, checked offline, told as a timeline.

use super::Globals;
use crate::{
    cli, clock,
    error::{Exit, Failure},
    terminal,
};
use api::bundle::{Bundle, Fault, Told, Verified};
use policy::UnixTime;
use ssh_key::Certificate;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::ExitCode,
};

/// Verifies it.
///
/// # Errors
/// 7 if it does not verify; 1 if it cannot be read.
pub fn run(globals: &Globals, args: &cli::VerifyBundle) -> Result<ExitCode, Failure> {
    let bundle = Bundle::read(open(&args.file)?)
        .map_err(|error| unverified(error.to_string()).hint("ask for the file again, whole"))?;
    let mut verified = match bundle.verify(&args.key, &args.witness_key) {
        Ok(verified) => verified,
        Err(faults) => return refused(globals, &faults),
    };
    if let Some(file) = &args.certificate {
        let index = holds(&verified, file)?;
        verified
            .proven
            .push(format!("the certificate in {} is the one of entry {index}, signed by that CA", file.display()));
    }
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "verified": true,
            "grant": verified.grant,
            "request": verified.request,
            "log": verified.checkpoint.origin,
            "size": verified.checkpoint.size,
            "witnesses": verified.witnesses.iter().map(|(name, at)| serde_json::json!({"name": name, "at": at})).collect::<Vec<_>>(),
            "timeline": verified.timeline,
            "proven": verified.proven,
            "not_proven": verified.not_proven,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    tell(&verified).iter().for_each(|line| terminal::print(line));
    Ok(ExitCode::SUCCESS)
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let opened =
        File::open(file).map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn unverified(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Unverified, message)
}

fn refused(globals: &Globals, faults: &[Fault]) -> Result<ExitCode, Failure> {
    if globals.json {
        let faults = faults.iter().map(|fault| serde_json::json!({"index": fault.index, "what": fault.what}));
        terminal::print_json(&serde_json::json!({"verified": false, "faults": faults.collect::<Vec<_>>()}));
        return Ok(Exit::Unverified.into());
    }
    faults.iter().for_each(|fault| terminal::say(&terminal::plain(&fault.to_string())));
    let count = if faults.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", faults.len()) };
    Err(unverified(format!("this bundle does NOT verify: {count}"))
        .hint("rely on nothing in it; ask whoever runs the log for another, and keep this one"))
}

/// The entry of the certificate in `file`, whose signature must hold.
fn holds(verified: &Verified, file: &Path) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?;
    let certificate = Certificate::from_openssh(text.trim())
        .map_err(|error| Failure::usage(format!("{} holds no certificate: {error}", file.display())))?;
    let bytes = certificate.to_bytes().unwrap_or_default();
    let found = verified.certificates.iter().find(|(_, signed)| bytes.starts_with(signed));
    let found = found.filter(|_| certificate.verify_signature().is_ok());
    found.map(|(index, _)| *index).ok_or_else(|| {
        unverified(format!("the certificate in {} is none of those in this bundle", file.display()))
            .hint("its key id names its grant: ask for the bundle of that")
    })
}

/// What a person reads. Every text of others is on a row of its own, marked, so that none can pass for one of ours.
fn tell(verified: &Verified) -> Vec<String> {
    let Verified { grant, request, checkpoint, witnesses, timeline, proven, not_proven, .. } = verified;
    let came =
        request.as_ref().map_or_else(|| ", standing access".to_owned(), |request| format!(", of request {request}"));
    let mut lines = vec![
        format!("{} grant {grant}{came}", terminal::green("VERIFIED")),
        format!("  log      {}, {} entries", terminal::plain(&checkpoint.origin), checkpoint.size),
    ];
    lines.extend(witnesses.iter().map(|(name, at)| {
        format!("  witness  {}, {}", terminal::plain(name), clock::rfc3339(UnixTime::from_secs(*at)))
    }));
    lines.push(String::new());
    lines.extend(timeline.iter().flat_map(happened));
    lines.push(String::new());
    lines.push(terminal::bold("proven"));
    lines.extend(proven.iter().map(|what| format!("  + {}", terminal::plain(what))));
    lines.push(terminal::bold("not proven"));
    lines.extend(not_proven.iter().map(|what| format!("  - {}", terminal::plain(what))));
    lines
}

fn happened(told: &Told) -> Vec<String> {
    let time = clock::rfc3339(UnixTime::from_secs(told.time_ms / 1000));
    let mut text = terminal::rows(&told.text).into_iter();
    let mut lines = vec![format!("{time}  {:>7}  {}", told.index, text.next().unwrap_or_default())];
    lines.extend(text.map(|row| format!("{:29}  {row}", "")));
    for (label, value) in &told.more {
        // A member that has no words of ours is told under its own name.
        let label = terminal::plain(label);
        for (at, row) in terminal::rows(value).into_iter().enumerate() {
            lines.push(format!("{:29}  {:<11}> {row}", "", if at == 0 { &*label } else { "" }));
        }
    }
    lines
}
