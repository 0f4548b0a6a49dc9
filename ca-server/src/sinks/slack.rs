//! A Slack-compatible incoming webhook, for people. What others wrote is text there: no markup, no mention, no link.
//!
//! Slack could be told so (`verbatim` in a block), but the others that take such webhooks read `text` alone and find links and
//! mentions in it themselves. So the text holds none: what would be one is broken by brackets, for everybody to see.

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
        let body = serde_json::json!({"text": lines.join("\n"), "mrkdwn": false, "unfurl_links": false, "unfurl_media": false});
        self.web.post(HeaderMap::new(), body.to_string()).await
    }
}

fn line(letter: &Letter, link: Option<&str>) -> String {
    let mark = match letter.weight() {
        Weight::Usual => "",
        Weight::Warning => "⚠ ",
        Weight::Loud => "🚨 ",
    };
    let text = format!("{mark}{}", escaped(&letter.line_with(|text| unlinked(&text))));
    match (link, letter.access()) {
        (Some(link), Some(id)) => format!("{text} <{}{id}|{id}>", escaped(link)),
        _ => text,
    }
}

/// Text in which nobody finds an address to open or a person to call. A mail address stays: it opens a mail.
fn unlinked(text: &str) -> String {
    text.split_inclusive(' ')
        .map(|word| if is_mail_address(word.trim_end()) { word.to_owned() } else { broken(word) })
        .collect()
}

fn broken(word: &str) -> String {
    let mut shown = String::with_capacity(word.len() + 8);
    let mut before = None;
    for (place, letter) in word.char_indices() {
        let mut after = word.get(place + letter.len_utf8()..).unwrap_or_default().chars();
        let next = after.next();
        match letter {
            // A scheme; a name with a dot, which some take for an address without one; a mention; a link in Markdown.
            ':' if next == Some('/') && after.next() == Some('/') => shown.push_str("[:]"),
            '.' if before.is_some() && next.is_some_and(char::is_alphabetic) => shown.push_str("[.]"),
            '@' if !before.is_some_and(|before: char| before.is_ascii_alphanumeric()) => {
                shown.push_str(if next == Some('(') { "[@] " } else { "[@]" });
            }
            ']' if next == Some('(') => shown.push_str("] "),
            other => shown.push(other),
        }
        before = Some(letter);
    }
    shown
}

fn is_mail_address(word: &str) -> bool {
    let plain = |part: &str, more: &str| {
        part.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
            && part.ends_with(|last: char| last.is_ascii_alphanumeric())
    };
    word.split_once('@').is_some_and(|(name, domain)| plain(name, "._+-") && plain(domain, ".-"))
}

/// The three letters that mean something to Slack; with them go mentions (`<!channel>`) and links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{is_mail_address, unlinked};
    use proptest::prelude::*;

    #[test]
    fn what_would_be_a_link_or_a_mention_is_broken_for_everybody_to_see() {
        for (text, expect) in [
            ("roll back 4.2, see CHG-7", "roll back 4.2, see CHG-7"),
            ("see https://evil.example/x?y=1", "see https[:]//evil[.]example/x?y=1"),
            ("HTTP://EVIL.EXAMPLE", "HTTP[:]//EVIL[.]EXAMPLE"),
            ("slack://open ftp://10.0.0.1", "slack[:]//open ftp[:]//10.0.0.1"),
            ("www.evil.example evil.example/x", "www[.]evil[.]example evil[.]example/x"),
            ("xn--80ak6aa92e.com, b\u{fc}cher.de", "xn--80ak6aa92e[.]com, b\u{fc}cher[.]de"),
            ("@channel @here (@all) -@everyone", "[@]channel [@]here ([@]all) -[@]everyone"),
            ("x.@channel evil.example/@x", "x.[@]channel evil[.]example/[@]x"),
            ("@**all** @alice", "[@]**all** [@]alice"),
            ("[open](evil.example) ![](https://a.b)", "[open] (evil[.]example) ![] (https[:]//a[.]b)"),
            ("ann@example.com deploy@web-1.corp.example", "ann@example.com deploy@web-1.corp.example"),
            ("ann@example.com/../evil.example", "ann@example[.]com/../evil[.]example"),
            ("a@b@evil.example", "a@b@evil[.]example"),
            ("@(evil.example)", "[@] (evil[.]example)"),
            ("", ""),
        ] {
            assert_eq!(unlinked(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn none_is_left(text in "[a-z.:/@\\[\\]() -]{0,40}") {
            let shown = unlinked(&text);
            prop_assert!(!shown.contains("://") && !shown.contains("]("), "{shown}");
            for word in shown.split(' ').filter(|word| !is_mail_address(word)) {
                let letters: Vec<char> = word.chars().collect();
                for three in letters.windows(3) {
                    prop_assert!(!(three[1] == '.' && three[2].is_alphabetic()), "{word}");
                    prop_assert!(three[1] != '@' || three[0] == '[' || three[0].is_ascii_alphanumeric(), "{word}");
                }
                prop_assert!(!word.starts_with('@'), "{word}");
            }
        }
    }
}
