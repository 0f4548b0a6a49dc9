//! The store's database: reached, new enough, and the head of its log whole.

use super::{Report, Weight};
use ca_server::{
    audit::{checkpoint, checkpoint::Seal},
    config::{Config, store::Postgres},
    custody::CaKey,
    store::postgres::examine,
};
use std::sync::Arc;

pub(super) async fn database(config: &Config, settings: &Postgres, report: &mut Report<'_>) {
    let found = match examine(settings, seal(config).as_ref()).await {
        Ok(found) => found,
        Err(error) => return report.add(Weight::Error, ("store", "host"), error.problem(), error.remedy()),
    };
    if found.outdated {
        let message = "the database lacks tables of this version";
        let hint = "the server makes them at its start if its role may; else let the owner run what `ca-server \
                    store-schema` prints";
        report.add(Weight::Warning, ("store", "kind"), message, hint);
    }
    for setting in found.forgetful {
        let message = format!("the database is set to {setting} = off: a crash there may lose what was issued");
        report.add(Weight::Warning, ("store", "kind"), message, "set it to on");
    }
}

/// What signs the log, if its key can be read: else that is said elsewhere.
fn seal(config: &Config) -> Option<Seal> {
    let passphrase = config.keys.passphrase().ok()?;
    let key = CaKey::load(&config.keys.log, passphrase.as_ref().map(|passphrase| passphrase.reveal())).ok()?;
    Seal::new(checkpoint::origin(config.audience.get_ref().as_str()), Arc::new(key)).ok()
}
