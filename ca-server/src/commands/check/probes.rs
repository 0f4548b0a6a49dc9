//! One look at each thing that a start needs.

use super::{Report, Weight};
use crate::commands::init::PLACEHOLDER;
use ca_server::{
    clock::{Clock, SystemClock},
    config::{Config, Keys, StoreConfig},
    custody::CaKey,
    http::{connections::bind, tls::Tls},
    oidc::Issuers,
    sinks::Sinks,
    store::redb::examine,
};
use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

/// The keys: there, ours alone, of the right kind, opened by the passphrase, and each in one role.
pub(super) fn keys(config: &Config, report: &mut Report<'_>) {
    let passphrase = match config.keys.passphrase() {
        Ok(passphrase) => passphrase,
        Err(error) => {
            let message = format!("the passphrase cannot be read: {error}");
            return report.add(
                Weight::Error,
                ("keys", "passphrase_file"),
                message,
                "check the path and its permissions",
            );
        }
    };
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.reveal());
    let mut known: Vec<(&str, CaKey)> = Vec::new();
    let Keys { user_ca, host_ca, log, krl, .. } = &config.keys;
    for (name, file) in [("user_ca", user_ca), ("host_ca", host_ca), ("log", log), ("krl", krl)] {
        let held = match CaKey::load(file, passphrase) {
            Ok(held) => held,
            Err(error) => {
                let older = ["log", "krl"].contains(&name) && !file.exists();
                let hint =
                    if older { "an install that is older than this key: `ca-server init --missing`" } else { "" };
                report.add(Weight::Error, ("keys", name), error.to_string(), hint);
                continue;
            }
        };
        if let Some((other, _)) = known.iter().find(|(_, other)| other.verifying_key() == held.verifying_key()) {
            let hint = "give each role its own: `ca-server init` makes four";
            report.add(Weight::Error, ("keys", name), format!("{other} and {name} are one key"), hint);
        }
        known.push((name, held));
    }
}

/// The TLS files: usable together, and the key for the server's eyes.
pub(super) fn tls(config: &Config, report: &mut Report<'_>) {
    let Some((certificate, key)) = config.tls() else { return };
    if let Err(error) = Tls::load(certificate, key) {
        report.add(Weight::Error, ("listen", "tls_certificate"), error.to_string(), "");
    }
    if fs::metadata(key).is_ok_and(|found| found.mode() & 0o007 != 0) {
        let message = format!("everybody on this machine can read or change {}", key.display());
        let hint = format!("run `chmod o= {}`, and replace the key if others had it", key.display());
        report.add(Weight::Error, ("listen", "tls_key"), message, &hint);
    }
}

/// The audience: a name of ours, not that of the example.
pub(super) fn audience(config: &Config, report: &mut Report<'_>) {
    if config.audience.get_ref().as_str() == PLACEHOLDER {
        let message = format!("the audience is still the example's, {PLACEHOLDER}");
        report.add(Weight::Warning, ("", "audience"), message, "name the URL by which your people reach this server");
    }
}

/// The sinks: secrets, certificates and URLs can be used. Nothing is opened and nobody is asked.
pub(super) fn sinks(config: &Config, report: &mut Report<'_>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    for fault in Sinks::faults(&config.sink, config.audience.get_ref().host(), &clock) {
        report.add(Weight::Error, ("sink", "name"), fault, "docs/SINKS.md describes each kind");
    }
}

/// The store: every page as it was written, or still to be made where it can be. Whether a server has it open.
pub(super) fn store(config: &Config, report: &mut Report<'_>) -> bool {
    let path = match &config.store {
        StoreConfig::Redb(path) => path.as_path(),
        // That is asked of the database itself.
        StoreConfig::Postgres(_) => return false,
    };
    let at = ("store", "path");
    match fs::metadata(path) {
        Ok(_there) => return existing_store(path, report),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_err() {
                let message = format!("the store cannot be made: {} cannot be written", parent.display());
                report.add(Weight::Error, at, message, "make the directory, writable for the server's user alone");
            }
        }
        Err(error) => report.add(Weight::Error, at, format!("the store cannot be looked at: {error}"), ""),
    }
    false
}

fn existing_store(path: &Path, report: &mut Report<'_>) -> bool {
    let at = ("store", "path");
    match examine(path) {
        Ok(()) => {}
        Err(error) if error.in_use() => {
            let message = "the store is in use: a server runs, so it was not looked into";
            report.add(Weight::Warning, at, message, "");
            return true;
        }
        Err(error) => {
            let message = format!("{}: {}", path.display(), error.problem());
            report.add(Weight::Error, at, message, error.remedy());
        }
    }
    false
}

/// The addresses: ours to listen on. `serving` says that a server has this store open: then it is the one that listens.
pub(super) fn addresses(config: &Config, serving: bool, report: &mut Report<'_>) {
    for (key, address) in [("address", *config.listen.address.get_ref()), ("ops", config.listen.ops)] {
        match bind(address) {
            Ok(_free) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && serving => {
                let message = format!("{address} is in use, and so is the store");
                report.add(Weight::Warning, ("listen", key), message, "fine if both are the running server's");
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let message = format!("{address} is in use, and not by a server that has this store open");
                let hint =
                    format!("name a free port, or end what listens there: `ss -ltnp 'sport = :{}'`", address.port());
                report.add(Weight::Error, ("listen", key), message, &hint);
            }
            Err(error) => {
                let message = format!("cannot listen on {address}: {error}");
                report.add(Weight::Error, ("listen", key), message, "name an address of this machine and a free port");
            }
        }
    }
    if !config.listen.ops.ip().is_loopback() {
        let message = "health and metrics are served beyond this machine, without TLS or login";
        report.add(Weight::Warning, ("listen", "ops"), message, "let a firewall keep it to the management network");
    }
}

/// The issuers. One that is down never stops the server, so it is no error here either.
pub(super) async fn issuers(config: &Config, offline: bool, report: &mut Report<'_>) {
    if config.issuer.is_empty() {
        let hint = "add an [[issuer]]; the commented example in config.toml shows how";
        report.add(Weight::Warning, ("issuer", "url"), "no issuer is configured: nobody can log in", hint);
    }
    let issuers = match Issuers::new(config.issuer.clone(), Arc::new(SystemClock)) {
        Ok(issuers) => issuers,
        Err(faults) => {
            return faults.into_iter().for_each(|fault| report.add(Weight::Error, ("issuer", "url"), fault, ""));
        }
    };
    if offline {
        return;
    }
    for status in issuers.refresh_now().await.into_iter().filter(|status| !status.up()) {
        let why = status.error.unwrap_or_else(|| "it has no key that can be used".to_owned());
        let message = format!("the issuer {} cannot be used just now: {why}", status.issuer);
        let hint = "the server starts all the same and tries again; logins there wait until it answers";
        report.add(Weight::Warning, ("issuer", "url"), message, hint);
    }
}
