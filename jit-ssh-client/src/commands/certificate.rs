//! `jit-ssh certificate`: for tools that cannot use an agent. The private key leaves memory only when files are asked
//! for by name.

use super::Globals;
use crate::{
    access,
    ca_client::CaClient,
    cli,
    error::Failure,
    issuance::{self, Issued, Names, Wish},
    keys::UserKey,
    state::{StateDir, certs, session::Session},
    terminal,
};
use api::signature::{USER_KEY_NAMESPACE, user_key_proof};
use policy::Target;
use ssh_key::PublicKey;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Gets one.
///
/// # Errors
/// If policy says no, the key is not the caller's, or a file cannot be written.
pub fn run(globals: &Globals, args: &cli::Certificate) -> Result<(), Failure> {
    let target = cli::target(&args.target)?;
    let state = StateDir::open()?;
    let session = globals.session(&state)?;
    let wish = args.why.wish();
    match (&args.files, &args.key) {
        (Some(directory), _) => {
            let key = UserKey::fresh()?;
            let issued = access::asking(&state, &target, &wish, true, |wish| for_fresh(&session, &target, &key, wish))?;
            let written = write_files(directory, &target, &key, &issued)?;
            report(globals, &issued, Some(written));
        }
        (None, Some(path)) => {
            let issued = access::asking(&state, &target, &wish, true, |wish| for_file(&session, &target, path, wish))?;
            put(globals, args.out.as_deref(), &issued)?;
        }
        (None, None) => {
            let ready =
                access::asking(&state, &target, &wish, true, |wish| issuance::ensure(&state, &target, wish, false))?;
            let certificate = crate::certificate::parse(&ready.certificate)
                .ok_or_else(|| Failure::failed("the kept certificate cannot be read").hint("jit-ssh ensure --renew"))?;
            put(
                globals,
                args.out.as_deref(),
                &Issued { entry: ready.entry, text: ready.certificate.trim().to_owned(), certificate },
            )?;
        }
    }
    Ok(())
}

fn for_fresh(session: &Session, target: &Target, key: &UserKey, wish: &Wish) -> Result<Issued, Failure> {
    let proof = || key.proof(&session.audience, &session.session).map(Some);
    issuance::issue(
        &CaClient::for_session(session)?,
        session,
        &Names::as_typed(target),
        key.public(),
        &key.public_line()?,
        proof,
        wish,
    )
}

fn for_file(session: &Session, target: &Target, path: &Path, wish: &Wish) -> Result<Issued, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    let public = PublicKey::from_openssh(text.trim()).map_err(|_no_key| {
        Failure::usage(format!("{} is no OpenSSH public key", path.display())).hint("name the .pub file")
    })?;
    // The comment is the user's own business, and may be a name the CA need not know.
    let line = PublicKey::from(public.key_data().clone())
        .to_openssh()
        .map_err(|_unwritable| Failure::failed("the public key cannot be written down"))?;
    let proof = || signed_by_ssh_keygen(path, &user_key_proof(&session.audience, &session.session)).map(Some);
    issuance::issue(
        &CaClient::for_session(session)?,
        session,
        &Names::as_typed(target),
        public.key_data(),
        &line,
        proof,
        wish,
    )
}

/// `ssh-keygen -Y sign` asks the agent, the file beside it or the FIDO token, and the person where there is a
/// passphrase or a touch to give.
fn signed_by_ssh_keygen(key: &Path, text: &[u8]) -> Result<String, Failure> {
    let failed = |what: String| {
        Failure::failed(format!("possession of {} cannot be proven: {what}", key.display()))
            .hint("the private key must lie beside it or in the agent; a FIDO token must be plugged in")
    };
    // A path that begins with `-` would be read as an option.
    let key = std::path::absolute(key).map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-q", "-n", USER_KEY_NAMESPACE, "-f"])
        .arg(&key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text).map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed("ssh-keygen does not sign with it".to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|_odd| failed("ssh-keygen's answer is no text".to_owned()))
}

fn put(globals: &Globals, out: Option<&Path>, issued: &Issued) -> Result<(), Failure> {
    match out {
        Some(path) => {
            write(path, &format!("{}\n", issued.text), 0o644)?;
            report(globals, issued, Some((None, path.to_owned())));
        }
        None if globals.json => report(globals, issued, None),
        None => terminal::print(&issued.text),
    }
    Ok(())
}

fn write_files(
    directory: &Path,
    target: &Target,
    key: &UserKey,
    issued: &Issued,
) -> Result<(Option<PathBuf>, PathBuf), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| Failure::failed(format!("cannot make {}: {error}", directory.display())))?;
    let stem = certs::stem(target);
    let (private, public) = (directory.join(&stem), directory.join(format!("{stem}-cert.pub")));
    write(&private, &key.private_pem()?, 0o600)?;
    write(&public, &format!("{}\n", issued.text), 0o644)?;
    Ok((Some(private), public))
}

/// Whole or not at all; a link in its place is replaced, not followed.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", path.display()));
    let mut name = path.file_name().ok_or_else(|| Failure::usage("that is no file name"))?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        fs::remove_file(&new).map_err(failed)?;
    }
    written.map_err(failed)
}

fn report(globals: &Globals, issued: &Issued, files: Option<(Option<PathBuf>, PathBuf)>) {
    let entry = &issued.entry;
    let (private, public) = files.map_or((None, None), |(private, public)| (private, Some(public)));
    if globals.json {
        terminal::print_json(&serde_json::json!({
            "certificate": issued.text,
            "serial": entry.serial,
            "key_id": issued.certificate.key_id(),
            "grant": entry.grant,
            "policy": entry.policy,
            "expires": entry.expires,
            "until": entry.until,
            "key_file": private,
            "certificate_file": public,
        }));
        return;
    }
    for path in private.iter().chain(&public) {
        terminal::say(&terminal::plain(&path.display().to_string()));
    }
    terminal::say(&format!("holds until {}", crate::clock::rfc3339(entry.expires)));
}
