//! Where the programs under test are: beside the test itself, in cargo's target directory.

use anyhow::{Context as _, Result};
use std::{env, path::PathBuf};

/// The program `name` of this workspace, built in the same profile as the caller.
///
/// # Errors
/// If it was not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = env::current_exe()?;
    let found = here.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run ./x test, or cargo build --workspace first"))
}

/// A file of this package, for example `idp/provider.mjs`.
pub fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
