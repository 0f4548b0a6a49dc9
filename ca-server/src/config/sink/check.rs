//! What each `[[sink]]` says and all together do not allow.

use super::{Encryption, SinkConfig, SinkKind, Transport};
use crate::config::issuer::is_loopback;
use std::collections::BTreeSet;

/// The faults: where in the file the sink's name stands, what is wrong, what to do.
pub(in crate::config) fn check_all(sinks: &[SinkConfig]) -> Vec<(usize, String, &'static str)> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for sink in sinks {
        let name = sink.name.get_ref().as_str();
        let mut say = |fault: &str, hint: &'static str| {
            faults.push((sink.name.span().start, format!("sink {name}: {fault}"), hint));
        };
        if !seen.insert(name) {
            say("it is configured twice", "each sink has a name of its own");
        }
        check(sink, &mut say);
    }
    faults
}

fn check(sink: &SinkConfig, say: &mut impl FnMut(&str, &'static str)) {
    let known = keys_of(sink.kind);
    for key in given(sink).into_iter().filter(|key| !known.contains(key)) {
        let hint = match (sink.kind, key) {
            (SinkKind::Slack, "url") => {
                "the URL of a chat is a secret: url_file names a file that holds it, url_env a variable"
            }
            _ => "docs/SINKS.md lists the keys of each kind",
        };
        say(&format!("{key} means nothing for this kind"), hint);
    }
    if sink.codes.is_empty() {
        say("codes is empty, so it would take nothing", "leave it out to take everything");
    }
    if sink.url_file.is_some() && sink.url_env.is_some() || sink.secret_file.is_some() && sink.secret_env.is_some() {
        say("a secret is given twice", "give the file or the environment variable");
    }
    let url = sink.url.is_some() || sink.url_file.is_some() || sink.url_env.is_some();
    match sink.kind {
        SinkKind::File if sink.path.is_none() => say("it has no path", "path = \"/var/log/jit-ssh/audit.jsonl\""),
        SinkKind::Syslog | SinkKind::Smtp if sink.address.is_none() => {
            say("it has no address", "address = \"siem.example.com:6514\"");
        }
        SinkKind::Syslog if sink.ca_file.is_some() && sink.transport.unwrap_or_default() != Transport::Tls => {
            say("ca_file means nothing without TLS", "leave it out, or set transport = \"tls\"");
        }
        SinkKind::Webhook if !url => say("it has no url", "url, url_file or url_env"),
        SinkKind::Webhook if sink.secret_file.is_none() && sink.secret_env.is_none() => {
            say("it has no secret to sign with", "secret_file or secret_env; `openssl rand -base64 32` makes one");
        }
        SinkKind::Slack if !url => say("it has no url", "url_file or url_env: the URL is a secret"),
        SinkKind::Smtp if sink.from.is_none() || sink.to.is_empty() => {
            say(
                "it has no sender or no receiver",
                "from = \"jit-ssh <ssh-ca@example.com>\", to = [\"ops@example.com\"]",
            );
        }
        SinkKind::Smtp => check_smtp(sink, say),
        _ => {}
    }
    if let Some(url) = &sink.url {
        let secure = url::Url::parse(url).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url));
        if !secure {
            say("its url is not https", "http is for loopback addresses only");
        }
    }
    if sink.link.as_ref().is_some_and(|link| !link.starts_with("https://") || url::Url::parse(link).is_err()) {
        say("its link is no https URL", "link = \"https://wiki.example.com/ssh?request=\"");
    }
}

fn check_smtp(sink: &SinkConfig, say: &mut impl FnMut(&str, &'static str)) {
    let here = sink.address.as_ref().is_some_and(super::Address::is_loopback);
    if sink.encryption == Some(Encryption::None) && !here {
        say("mail without encryption leaves this machine", "set encryption to \"starttls\" or \"tls\"");
    }
    let password = sink.password_file.is_some() || sink.password_env.is_some();
    if sink.username.is_some() != password {
        say("username and password go together", "password_file or password_env");
    }
}

fn keys_of(kind: SinkKind) -> &'static [&'static str] {
    match kind {
        SinkKind::File => &["format", "path"],
        SinkKind::Syslog => &["format", "address", "transport", "ca_file"],
        SinkKind::Webhook => &["format", "url", "url_file", "url_env", "secret_file", "secret_env", "ca_file"],
        SinkKind::Slack => &["url_file", "url_env", "link", "ca_file"],
        SinkKind::Smtp => {
            &["address", "encryption", "ca_file", "from", "to", "username", "password_file", "password_env", "link"]
        }
    }
}

/// The keys that are not for every kind and stand in this one.
fn given(sink: &SinkConfig) -> Vec<&'static str> {
    let all = [
        ("format", sink.format.is_some()),
        ("path", sink.path.is_some()),
        ("address", sink.address.is_some()),
        ("transport", sink.transport.is_some()),
        ("encryption", sink.encryption.is_some()),
        ("ca_file", sink.ca_file.is_some()),
        ("url", sink.url.is_some()),
        ("url_file", sink.url_file.is_some()),
        ("url_env", sink.url_env.is_some()),
        ("secret_file", sink.secret_file.is_some()),
        ("secret_env", sink.secret_env.is_some()),
        ("link", sink.link.is_some()),
        ("from", sink.from.is_some()),
        ("to", !sink.to.is_empty()),
        ("username", sink.username.is_some()),
        ("password_file", sink.password_file.is_some()),
        ("password_env", sink.password_env.is_some()),
    ];
    all.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
}
