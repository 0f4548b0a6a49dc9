//! `ca-server migrate-store`: from a file into a database; and `ca-server store-schema`, what makes its tables.

use super::{
    print,
    run::{load, on_runtime},
};
use crate::cli::{MigrateStore, StoreSchema};
use anyhow::{Context as _, bail, ensure};
use ca_server::{
    audit::{checkpoint, checkpoint::Seal},
    config::{Config, StoreConfig},
    custody::CaKey,
    store::{
        migrate::{Moved, migrate},
        postgres,
    },
};
use serde_json::json;
use std::{fmt::Write as _, process::ExitCode, sync::Arc};

pub(super) fn migrate_store(asked: &MigrateStore) -> anyhow::Result<ExitCode> {
    let (old, new) = (load(&asked.config)?, load(&asked.to)?);
    let StoreConfig::Redb(file) = &old.store else {
        bail!("{}: its store is no file; only a file is migrated", asked.config.display());
    };
    let StoreConfig::Postgres(database) = &new.store else {
        bail!("{}: its store is no database; set kind = \"postgres\" under [store]", asked.to.display());
    };
    let (key, other) = (key(&old)?, key(&new)?);
    ensure!(
        key.verifying_key() == other.verifying_key(),
        "keys.log of the two configurations differ: the log keeps its key, or nobody could check it; nothing was changed"
    );
    let origin = checkpoint::origin(old.audience.get_ref().as_str());
    let seal = Seal::new(origin, Arc::new(key)).context("the audit log cannot be named after the audience")?;
    let moved = on_runtime(async { Ok(migrate(file, database, &seal).await?) })?;
    print(&if asked.json { for_programs(&moved) } else { for_people(&moved, asked)? })
}

pub(super) fn store_schema(asked: &StoreSchema) -> anyhow::Result<ExitCode> {
    ensure!(
        (0..=postgres::LATEST).contains(&asked.from),
        "--from {}: there is no such version; this program knows 1 to {}, and 0 makes everything",
        asked.from,
        postgres::LATEST
    );
    let rights = asked.role.as_deref().map(postgres::grants).unwrap_or_default();
    print(&format!("{}{rights}", postgres::script(asked.from)))
}

/// The key of the audit log.
fn key(config: &Config) -> anyhow::Result<CaKey> {
    let passphrase = config.keys.passphrase().context("keys.passphrase_file cannot be read")?;
    Ok(CaKey::load(&config.keys.log, passphrase.as_ref().map(|passphrase| passphrase.reveal()))?)
}

fn for_programs(moved: &Moved) -> String {
    let Moved { size, root, facts } = moved;
    let facts: serde_json::Map<_, _> = facts.iter().map(|(name, count)| (name.to_string(), (*count).into())).collect();
    format!("{}\n", json!({"entries": size, "root": root, "facts": facts}))
}

fn for_people(moved: &Moved, asked: &MigrateStore) -> anyhow::Result<String> {
    let Moved { size, root, facts } = moved;
    let mut text =
        format!("moved {size} audit entries; the tree has the root {root} on both sides, as it was signed\n");
    for (name, count) in facts {
        writeln!(text, "moved {count} {name}")?;
    }
    writeln!(text, "the file is as it was; start the server: ca-server run --config {}", asked.to.display())?;
    Ok(text)
}
