//! `ca-server audit witness`.

use super::{
    super::{print, run::on_runtime},
    BREACH, line,
};
use crate::cli;
use anyhow::{Context as _, bail, ensure};
use api::{ConsistencyResponse, paths};
use ca_server::{
    audit::{
        checkpoint::{self, Checkpoint},
        note::{Note, Verifier},
        witness::{Breach, continues, needs_proof},
    },
    clock::{Clock as _, SystemClock},
    config::Passphrase,
    custody::CaKey,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use url::{Host, Url};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn witness(asked: &cli::Witness) -> anyhow::Result<ExitCode> {
    let passphrase = asked.passphrase_file.as_deref().map(Passphrase::read).transpose().context("--passphrase-file")?;
    let signing = CaKey::load(&asked.signing_key, passphrase.as_ref().map(Passphrase::reveal))?;
    let log = Log { client: client(asked)?, url: asked.url.clone(), key: asked.key.clone() };
    let witness = Witness { log, state: asked.state.clone(), signing, name: asked.name.clone() };
    on_runtime(async {
        let mut due = tokio::time::interval(Duration::from_secs(asked.every.as_secs().max(1)));
        loop {
            due.tick().await;
            match witness.look().await {
                Ok(told) => drop(print(&told)?),
                Err(error) if error.downcast_ref::<Breach>().is_some() => {
                    let kept = asked.state.display();
                    writeln!(
                        io::stderr(),
                        "ca-server: {error:#}; not cosigned. The last good checkpoint is in {kept}: keep it"
                    )?;
                    return Ok(ExitCode::from(BREACH));
                }
                Err(error) if asked.once => return Err(error),
                Err(error) => writeln!(io::stderr(), "ca-server: {error:#}; trying again")?,
            }
            if asked.once {
                return Ok(ExitCode::SUCCESS);
            }
        }
    })
}

struct Witness {
    log: Log,
    state: PathBuf,
    signing: CaKey,
    name: String,
}

impl Witness {
    /// Looks once. Answers the cosigned checkpoint, which is in the state file by then.
    async fn look(&self) -> anyhow::Result<String> {
        let note = self.log.note().await?;
        let found = Checkpoint::verify(&note, &self.log.key).context("the server's checkpoint is not believed")?;
        if let Some(known) = self.known()? {
            let proof = match needs_proof(&known, &found)? {
                true => self.log.proof(known.size, found.size).await?,
                false => Vec::new(),
            };
            continues(&known, &found, &proof)?;
        }
        let cosigned =
            checkpoint::cosign(&note, &self.log.key, &self.name, &self.signing, SystemClock.now().as_secs())?;
        // First remembered, then told: a witness that forgot what it signed could sign a fork.
        replace(&self.state, &cosigned)
            .with_context(|| format!("cannot keep the state in {}", self.state.display()))?;
        Ok(cosigned)
    }

    /// The last checkpoint that was seen. A state that cannot be read is no reason to begin anew.
    fn known(&self) -> anyhow::Result<Option<Checkpoint>> {
        let shown = self.state.display();
        match fs::read_to_string(&self.state) {
            Ok(note) => Checkpoint::verify(&note, &self.log.key).map(Some).with_context(|| {
                format!("{shown} is not a checkpoint of this log; restore it, or move it away if the log is a new one")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
        }
    }
}

/// The log, over the network.
struct Log {
    client: reqwest::Client,
    url: Url,
    key: Verifier,
}

impl Log {
    async fn note(&self) -> anyhow::Result<String> {
        let text = self.get(paths::CHECKPOINT, "").await?;
        String::from_utf8(text).context("the checkpoint is not text")
    }

    async fn proof(&self, from: u64, to: u64) -> anyhow::Result<Vec<[u8; 32]>> {
        let answer = self.get(paths::CONSISTENCY, &format!("from={from}&to={to}")).await?;
        let answer: ConsistencyResponse =
            serde_json::from_slice(&answer).context("the proof is not what was asked for")?;
        answer.proof.iter().map(|hash| line::hash(hash)).collect()
    }

    async fn get(&self, path: &str, query: &str) -> anyhow::Result<Vec<u8>> {
        let mut url = self.url.join(path)?;
        url.set_query((!query.is_empty()).then_some(query));
        let mut answer = self.client.get(url).send().await.context("the server cannot be asked")?;
        ensure!(answer.status().is_success(), "the server answered {} for {path}", answer.status());
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.context("the answer broke off")? {
            body.extend_from_slice(&part);
            ensure!(body.len() <= Note::LONGEST, "the answer is too long");
        }
        Ok(body)
    }
}

fn client(asked: &cli::Witness) -> anyhow::Result<reqwest::Client> {
    let loopback = match asked.url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => bail!("--url names no server"),
    };
    ensure!(asked.url.scheme() == "https" || loopback, "--url has to be https");
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("jit-ssh-witness/", env!("CARGO_PKG_VERSION")));
    if loopback {
        builder = builder.no_proxy();
    }
    if let Some(file) = &asked.ca_file {
        let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).context("--ca-file")?;
        ensure!(!certificates.is_empty(), "{} holds no certificate in PEM form", file.display());
        builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    Ok(builder.build()?)
}

/// Puts `text` into `path`, whole or not at all, and durably.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
