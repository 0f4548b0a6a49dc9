//! `ca-server dev`: everything on loopback, with an OpenID Provider that lets anybody be anybody.

mod cast;

use super::{
    run::on_runtime,
    starter::{make_directory, new_file},
};
use crate::cli::Dev;
use anyhow::{Context as _, bail};
use ca_server::{
    clock::{SystemClock, random},
    config::{Config, Level},
    custody,
    dev::{Provider, may_run_beside},
    http::connections::bind,
    logging,
    start::{self, Listeners},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// What marks a directory as one of ours, whose keys no host should trust.
const MARK: &str = "development-only";

pub(super) fn dev(asked: &Dev) -> anyhow::Result<ExitCode> {
    if !asked.listen.ip().is_loopback() {
        bail!("the development server listens on loopback only: {} is not; use `ca-server run`", asked.listen);
    }
    logging::start(Level::Info);
    let room = Room::prepare(asked)?;
    on_runtime(serve(asked, &room.directory))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(asked: &Dev, directory: &Path) -> anyhow::Result<()> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let cannot_listen = |address: SocketAddr| format!("cannot listen on {address}");
    let listeners = Listeners {
        api: bind(asked.listen).with_context(|| cannot_listen(asked.listen))?,
        ops: bind(any_port).with_context(|| cannot_listen(any_port))?,
    };
    let provider = Provider::start(any_port, cast::people(), Arc::new(SystemClock))
        .await
        .context("the development provider cannot be started")?;
    let mut config = configuration(&listeners, directory)?;
    config.issuer.push(provider.config());
    if let Some(policy) = &asked.policy {
        config.policy.directory.clone_from(policy);
    }
    let app = start::wire(&config).await?;
    let mut more = serde_json::Map::new();
    more.insert("issuer".to_owned(), provider.issuer().as_str().into());
    more.insert("user_ca".to_owned(), app.authority.public_key().into());
    more.insert("dir".to_owned(), directory.display().to_string().into());
    tracing::warn!(issuer = %provider.issuer(), "DEVELOPMENT: anybody may log in as anybody; trust these keys nowhere");
    start::serve(&config, app, listeners, more).await
}

/// A configuration like any other, with room for the tests and benchmarks that share one address. It is kept for the commands
/// that read the store of a server by its configuration; the provider, which dies with this process, is not in it.
fn configuration(listeners: &Listeners, directory: &Path) -> anyhow::Result<Config> {
    let address = listeners.api.local_addr()?;
    let text = format!(
        "audience = \"http://{address}\"\n\
         [listen]\naddress = \"{address}\"\n\
         [limits]\nconnections_per_client = 4096\nrequests_per_second = 1000000\nrequest_burst = 1000000\n\
         logins_per_minute = 1000000\nlogin_burst = 1000000\ncertificates_per_minute = 0\n"
    );
    let file = directory.join("config.toml");
    fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    Config::parse("development", &text, directory).map_err(|findings| anyhow::anyhow!("{findings:?}"))
}

/// The directory of a development server; gone with it unless it was named.
struct Room {
    directory: PathBuf,
    temporary: bool,
}

impl Room {
    fn prepare(asked: &Dev) -> anyhow::Result<Self> {
        let room = match &asked.dir {
            Some(directory) => Self { directory: directory.clone(), temporary: false },
            None => {
                let random: [u8; 8] = random().map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
                let name = format!("jit-ssh-dev-{:016x}", u64::from_be_bytes(random));
                Self { directory: std::env::temp_dir().join(name), temporary: true }
            }
        };
        room.fill(asked.sshd_port)?;
        Ok(room)
    }

    fn fill(&self, sshd_port: u16) -> anyhow::Result<()> {
        let Self { directory, .. } = self;
        let ours = directory.join(MARK).exists();
        let used = fs::read_dir(directory).is_ok_and(|mut files| files.next().is_some());
        may_run_beside(&[], used && !ours).map_err(anyhow::Error::msg)?;
        make_directory(directory)?;
        if !ours {
            new_file(&directory.join(MARK), "`ca-server dev` made this. Anybody could have logged in here.\n")?;
        }
        if !directory.join("keys").exists() {
            custody::generate(&directory.join("keys"), None)?;
        }
        if !directory.join("policy").exists() {
            cast::write(directory, sshd_port)?;
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.directory)
        {
            tracing::warn!(%error, dir = %self.directory.display(), "the temporary directory is still there");
        }
    }
}
