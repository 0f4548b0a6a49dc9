//! Connections to the database. Each step has an end, and nothing of the password is ever shown.

use crate::{config::store::Postgres, store::StoreError};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{error::Error as _, future::poll_fn, path::Path, sync::Arc, time::Duration};
use tokio::{task::AbortHandle, time::timeout};
use tokio_postgres::{
    AsyncMessage, Client, Config, Error,
    config::{SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How to connect.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// How long one exchange may take.
    pub(super) patience: Duration,
}

/// An open connection; closed when dropped, whatever it is in the middle of.
pub(super) struct Connection {
    pub(super) client: Client,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connector {
    /// # Errors
    /// If the password or a certificate cannot be read. Nobody is asked yet.
    pub(super) fn new(settings: &Postgres) -> Result<Self, String> {
        let patience = settings.timeout.duration();
        let mut config = Config::new();
        for host in &settings.hosts {
            config.host(host);
        }
        config.port(settings.port).dbname(&settings.database).user(&settings.user);
        let password = settings.password().map_err(|error| {
            format!("the password (store.password_file or JIT_SSH_STORE_PASSWORD) cannot be used: {error}")
        })?;
        if let Some(password) = password {
            config.password(password.reveal());
        }
        config.ssl_mode(if settings.tls { SslMode::Require } else { SslMode::Disable });
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).application_name("jit-ssh ca-server");
        config.connect_timeout(patience).tcp_user_timeout(patience * 2).keepalives_idle(Duration::from_secs(15));
        // The server's ends lie behind ours but for the idle transaction: a ca-server that stands still must not keep
        // others from the head of the log.
        let ms = patience.as_millis();
        config.options(format!(
            "-c search_path=jit_ssh -c client_encoding=UTF8 -c TimeZone=UTC -c jit=off -c statement_timeout={ms} \
             -c lock_timeout={ms} -c idle_in_transaction_session_timeout={ms}"
        ));
        let tls = MakeRustlsConnect::new(trusting(settings.tls, settings.ca_file.as_deref())?);
        Ok(Self { config, tls, patience })
    }

    /// Connections for reading.
    pub(super) fn pool(&self, most: u32) -> Result<Pool, String> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let connections = Manager::from_config(self.config.clone(), self.tls.clone(), recycling);
        let most = usize::try_from(most).unwrap_or(1);
        let pool = Pool::builder(connections).max_size(most).runtime(Runtime::Tokio1);
        let pool = pool.create_timeout(Some(self.patience)).wait_timeout(Some(self.patience));
        pool.recycle_timeout(Some(self.patience)).build().map_err(|error| error.to_string())
    }

    /// A connection of one's own.
    pub(super) async fn connect(&self) -> Result<Connection, StoreError> {
        self.listen(|_message| ()).await
    }

    /// A connection whose notifications go to `heard`.
    pub(super) async fn listen(
        &self,
        mut heard: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Connection, StoreError> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, mut connection) = self.within(connecting).await?;
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                heard(message);
            }
        });
        Ok(Connection { client, task: task.abort_handle() })
    }

    /// The answer, if it comes in time.
    pub(super) async fn within<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(|error| StoreError(told(&error))),
            Err(_late) => Err(StoreError(format!("the database did not answer within {:?}", self.patience))),
        }
    }
}

/// The error with its causes, as far as they are safe to log: the database's own words never hold a password, and what a row
/// held is left out.
pub(super) fn told(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("the database said: {} ({})", visible(said.message()), said.code().code());
    }
    let mut text = format!("the database: {error}");
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    visible(&text)
}

/// One line without control characters; quotes, which PostgreSQL puts around names, stay as they are.
fn visible(text: &str) -> String {
    text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// TLS that believes the system's certificates and those in `ca_file`. The certificate must bear the host's name.
fn trusting(wanted: bool, ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if wanted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(file) = ca_file {
        let at = |error: &dyn std::fmt::Display| format!("store.ca_file {}: {error}", file.display());
        let pem = std::fs::read(file).map_err(|error| at(&error))?;
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|error| at(&error))?).map_err(|error| at(&error))?;
        }
        if roots.len() == before {
            return Err(at(&"it holds no certificate in PEM form"));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
