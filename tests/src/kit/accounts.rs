//! Two accounts of this machine to log in to.

use anyhow::{Context as _, Result, ensure};
use std::{fs::File, process::Command};

/// Accounts that certificates are for.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The one that stories log in to.
    pub first: String,
    /// Another one; needs root to be made, so an unprivileged run has none.
    pub second: Option<String>,
}

impl Accounts {
    /// As root `jit-e2e-a` and `jit-e2e-b`, made where they are missing and kept for the next run; otherwise only the
    /// caller's own.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn ready() -> Result<Self> {
        if !is_root() {
            let first = output(Command::new("id").arg("-un"))?.trim().to_owned();
            eprintln!("not root: what needs a second account is left out");
            return Ok(Self { first, second: None });
        }
        // Tests run side by side; one makes the accounts, the others find them.
        let lock = File::create(std::env::temp_dir().join("jit-ssh-e2e-accounts.lock"))?;
        lock.lock()?;
        for name in ["jit-e2e-a", "jit-e2e-b"] {
            make(name)?;
        }
        Ok(Self { first: "jit-e2e-a".to_owned(), second: Some("jit-e2e-b".to_owned()) })
    }
}

/// Makes the account `name` with a home and no password, unless it is there.
///
/// # Errors
/// If it cannot be made.
pub fn make(name: &str) -> Result<()> {
    if Command::new("getent").args(["passwd", name]).output()?.status.success() {
        return Ok(());
    }
    // `*` is a password that nothing matches. `!`, the default, would lock the account for sshd as well.
    let made = Command::new("useradd").args(["-m", "-s", "/bin/sh", "-p", "*", name]).output()?;
    ensure!(made.status.success(), "useradd {name}: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// Removes the account `name` and its home, whoever is still logged in to it.
///
/// # Errors
/// If userdel cannot be run.
pub fn remove(name: &str) -> Result<()> {
    Command::new("userdel").args(["-f", "-r", name]).output().map(|_output| ()).context("userdel")
}

/// Whether this process may make accounts.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
