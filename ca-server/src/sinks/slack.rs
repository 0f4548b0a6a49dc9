//! A Slack-compatible incoming webhook, for people. What others wrote is text there: no markup, no mention, no link.

use super::{
    deliver::{Deliver, Failure},
    letter::{Letter, Weight},
    web::Web,
};
use crate::config::sink::SinkConfig;
use async_trait::async_trait;
use reqwest::header::HeaderMap;

pub(super) struct Slack {
    web: Web,
    link: Option<String>,
}

impl Slack {
    pub(super) fn new(config: &SinkConfig) -> Result<Self, String> {
        Ok(Self { web: Web::new(config)?, link: config.link.clone() })
    }
}

#[async_trait]
impl Deliver for Slack {
    async fn deliver(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        let lines: Vec<String> = letters.iter().map(|letter| line(letter, self.link.as_deref())).collect();
        // Markup off: asterisks and backticks in a reason stay what they are.
        let body = serde_json::json!({"text": lines.join("\n"), "mrkdwn": false, "unfurl_links": false});
        self.web.post(HeaderMap::new(), body.to_string()).await
    }
}

fn line(letter: &Letter, link: Option<&str>) -> String {
    let mark = match letter.weight() {
        Weight::Usual => "",
        Weight::Warning => "⚠ ",
        Weight::Loud => "🚨 ",
    };
    let text = format!("{mark}{}", escaped(&letter.line()));
    match (link, letter.access()) {
        (Some(link), Some(id)) => format!("{text} <{}{id}|{id}>", escaped(link)),
        _ => text,
    }
}

/// The three letters that mean something to Slack; with them go mentions (`<!channel>`) and links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
