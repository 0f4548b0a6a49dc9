//! A PostgreSQL server that is struck down and comes back, or whose place another one takes.

use super::postgres::{Cluster, done, program};
use anyhow::{Context as _, Result};
use std::{fs, io::Write as _, process::Command};

impl Cluster {
    /// Ends it as a power cut would: nothing is finished, nothing is said to anybody.
    ///
    /// # Errors
    /// If it does not go.
    pub fn strike(&self) -> Result<()> {
        done(self.control(&["stop", "-m", "immediate"])?.arg("-s"))
    }

    /// Starts it again; it recovers what it had committed.
    ///
    /// # Errors
    /// If it does not serve.
    pub fn again(&self) -> Result<()> {
        done(self.control(&["start", "-s", "-l"])?.arg(self.home.join("log")))
    }

    /// Another server that follows this one, commit by commit: this one answers none before the other has it. Its socket is in
    /// its home, at the same port.
    ///
    /// # Errors
    /// If it does not follow.
    pub fn standby(&self) -> Result<Standby> {
        let home = self.home.join("standby");
        done(program("mkdir".as_ref())?.args(["-m", "0700"]).arg(&home))?;
        let data = home.join("data");
        let mut copied = program(&self.bin.join("pg_basebackup"))?;
        copied.args(["-U", "postgres", "-R", "--no-sync", "-c", "fast", "-p", &self.port.to_string(), "-h"]);
        done(copied.arg(&self.home).arg("-D").arg(&data))?;
        let own = format!("listen_addresses = ''\nunix_socket_directories = '{}'\n", home.display());
        fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?.write_all(own.as_bytes())?;
        let standby = Standby(Self { home, port: self.port, bin: self.bin.clone() });
        standby.0.again().context("the standby")?;
        self.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.psql("postgres", "SELECT pg_reload_conf()")?;
        // The first commit waits until the other follows.
        self.psql("postgres", "CREATE TABLE followed ()")?;
        Ok(standby)
    }

    fn control(&self, what: &[&str]) -> Result<Command> {
        let mut command = program(&self.bin.join("pg_ctl"))?;
        command.arg("-D").arg(self.home.join("data")).arg("-w").args(what);
        Ok(command)
    }
}

/// A server that follows another; it ends when dropped.
pub struct Standby(pub Cluster);

impl Standby {
    /// It follows no longer and takes writes.
    ///
    /// # Errors
    /// If it does not.
    pub fn promote(&self) -> Result<()> {
        done(&mut self.0.control(&["promote", "-s"])?)
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _gone = self.0.strike();
    }
}
