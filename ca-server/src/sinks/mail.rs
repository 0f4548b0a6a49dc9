//! E-mail over SMTP: some entries, one plain text. Nothing that others wrote gets into a header.

use super::{
    deliver::{Deliver, Failure},
    letter::{Letter, Weight, visible},
};
use crate::config::sink::{Encryption, SinkConfig};
use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};

pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    name: String,
    host: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    link: Option<String>,
}

impl Mail {
    pub(super) fn new(config: &SinkConfig, host: &str) -> Result<Self, String> {
        let address = config.address.as_ref().ok_or("it has no address")?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.host.as_str())
            .port(address.port)
            .hello_name(ClientId::Domain(host.to_owned()))
            .timeout(Some(config.timeout.duration()))
            .tls(tls(config, &address.host)?);
        if let Some(user) = &config.username {
            let password = config.read_password().map_err(|error| error.to_string())?.ok_or("it has no password")?;
            transport = transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(Self {
            transport: transport.build(),
            name: config.name.get_ref().as_str().to_owned(),
            host: host.to_owned(),
            from: config.from.clone().ok_or("it has no sender")?,
            to: config.to.clone(),
            link: config.link.clone(),
        })
    }

    fn written(&self, letters: &[Letter]) -> Result<Message, lettre::error::Error> {
        let ends = letters.first().zip(letters.last()).map(|(first, last)| (first.index, last.index));
        let (first, last) = ends.unwrap_or_default();
        let loud = letters.iter().any(|letter| letter.weight() == Weight::Loud);
        let mut codes: Vec<String> = letters.iter().map(|letter| visible(&letter.code, 60)).collect();
        codes.dedup();
        codes.truncate(3);
        let urgent = if loud { "URGENT " } else { "" };
        let subject = format!("[jit-ssh] {urgent}{} ({} entries)", codes.join(", "), letters.len());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            // The same each time these are sent, so that a receiver can drop doubles.
            .message_id(Some(format!("<{}-{first}-{last}@{}>", self.name, self.host)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(self.body(letters))
    }

    fn body(&self, letters: &[Letter]) -> String {
        let mut text = String::new();
        for letter in letters {
            text.push_str(&letter.line());
            text.push('\n');
            if let (Some(link), Some(id)) = (&self.link, letter.access()) {
                text.push_str(&format!("  {link}{id}\n"));
            }
        }
        format!(
            "{text}\nWhat stands after \"reason:\" was written by the person who asked.\n-- \nca-server at {}\n",
            self.host
        )
    }
}

#[async_trait]
impl Deliver for Mail {
    async fn deliver(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        let message =
            self.written(letters).map_err(|error| Failure::Refused(format!("no mail can be made of it: {error}")))?;
        let sent = self.transport.send(message).await;
        // The server's code and not its words, which may be anything.
        sent.map(drop).map_err(|error| match error.status() {
            Some(code) if error.is_permanent() => Failure::Refused(format!("the mail server answered {code}")),
            Some(code) => Failure::later(format!("the mail server answered {code}")),
            None if error.is_timeout() => Failure::later("the mail server took too long"),
            None if error.is_tls() => Failure::later("TLS with the mail server failed"),
            None => Failure::later("the mail server cannot be reached or does not speak SMTP as it should"),
        })
    }
}

fn tls(config: &SinkConfig, host: &str) -> Result<Tls, String> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(file) = &config.ca_file {
        let at = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", file.display());
        let pem = std::fs::read(file).map_err(|error| at(&error))?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| at(&error))?);
    }
    let built = || parameters.build().map_err(|error| format!("TLS cannot be set up: {error}"));
    Ok(match config.encryption.unwrap_or_default() {
        Encryption::Starttls => Tls::Required(built()?),
        Encryption::Tls => Tls::Wrapper(built()?),
        Encryption::None => Tls::None,
    })
}
