//! Batches over HTTPS, signed as Standard Webhooks describes: whoever holds the secret can tell that they came from here,
//! unchanged, and when.

use super::{
    deliver::{Deliver, Failure},
    letter::{Letter, time},
    web::Web,
};
use crate::{
    clock::Clock,
    config::{
        Passphrase,
        sink::{Format, SinkConfig},
    },
};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// The shortest secret: as long as the security that SHA-256 can give wants at least.
const LEAST_SECRET: usize = 24;

pub(super) struct Webhook {
    web: Web,
    key: hmac::Key,
    name: String,
    format: Format,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    pub(super) fn new(config: &SinkConfig, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let secret = config.read_secret().map_err(|error| error.to_string())?.ok_or("it has no secret to sign with")?;
        Ok(Self {
            web: Web::new(config)?,
            key: key(&secret)?,
            name: config.name.get_ref().as_str().to_owned(),
            format: config.format.unwrap_or_default(),
            clock,
        })
    }

    fn signed(&self, id: &str, seconds: u64, body: &str) -> String {
        let mut signing = hmac::Context::with_key(&self.key);
        signing.update(format!("{id}.{seconds}.").as_bytes());
        signing.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }
}

#[async_trait]
impl Deliver for Webhook {
    async fn deliver(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        let (Some(first), Some(last)) = (letters.first(), letters.last()) else { return Ok(()) };
        let id = format!("{}-{}-{}", self.name, first.index, last.index);
        let seconds = self.clock.now().as_secs();
        let entries: Vec<String> = letters.iter().map(|letter| self.format.json(letter)).collect();
        let body = format!(
            r#"{{"type":"jit-ssh.audit","timestamp":"{}","sink":"{}","entries":[{}]}}"#,
            time(self.clock.now_ms()),
            self.name,
            entries.join(",")
        );
        let mut headers = HeaderMap::new();
        let signature = self.signed(&id, seconds, &body);
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signature)]
        {
            let value = HeaderValue::from_str(&value).map_err(Failure::later)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.web.post(headers, body).await
    }
}

/// `whsec_` and base64, as Standard Webhooks writes secrets, or the bytes as they are.
fn key(secret: &Passphrase) -> Result<hmac::Key, String> {
    let bytes = match secret.reveal().strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_unshown| "the secret after whsec_ is not base64")?,
        None => secret.reveal().as_bytes().to_vec(),
    };
    let bytes = zeroize::Zeroizing::new(bytes);
    if bytes.len() < LEAST_SECRET {
        return Err(format!(
            "the secret has less than {LEAST_SECRET} bytes; `openssl rand -base64 32` makes a good one"
        ));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}
