use crate::{config::sink::Format, sinks::letter::Letter};

fn letter(code: &str, reason: &str, source: &str) -> Letter {
    let value = serde_json::json!({
        "v": 1, "time_ms": 1_800_000_000_123_u64, "request": "r-1", "code": code, "target": "a@corp@web-1",
        "id": "r-00112233445566778899aabb",
        "actor": {"kind": "user", "issuer": "https://id.example.com", "subject": "ann"},
        "reason": reason, "source": source, "grant": "g-1",
    });
    Letter::new(7, &crate::audit::Entry::from_bytes(serde_json::to_vec(&value).unwrap()))
}

/// A receiver's reading of CEF: header fields, then the extension as pairs.
fn read(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (mut fields, mut field, mut letters) = (Vec::new(), String::new(), line.chars());
    while fields.len() < 7 {
        match letters.next().unwrap() {
            '\\' => field.push(letters.next().unwrap()),
            '|' => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    let extension: String = letters.collect();
    let (mut pairs, mut word) = (Vec::<(String, String)>::new(), String::new());
    let mut letters = extension.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next().unwrap() {
                'n' => word.push('\n'),
                'r' => word.push('\r'),
                escaped => word.push(escaped),
            },
            '=' => {
                let (value, key) = word.rsplit_once(' ').map_or(("", word.as_str()), |(value, key)| (value, key));
                if let Some(last) = pairs.last_mut() {
                    last.1 = value.to_owned();
                }
                pairs.push((key.to_owned(), String::new()));
                word.clear();
            }
            letter => word.push(letter),
        }
    }
    pairs.last_mut().unwrap().1 = word;
    (fields, pairs)
}

#[test]
fn cef_is_read_back_as_it_was_meant_whatever_it_holds() {
    let rows = [
        ("plain", "plain"),
        ("a|b", "a|b"),
        ("a=b suser=root", "a=b suser=root"),
        ("back\\slash\\", "back\\slash\\"),
        ("two\nlines\r\n", "two\nlines\r\n"),
        ("\\n", "\\n"),
        ("\u{1b}[31m\u{0}\u{9b}\u{202e}", "\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}"),
    ];
    for (reason, expected) in rows {
        let line = Format::Cef.render(&letter("request.denied", reason, "192.0.2.7"));
        assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line}");
        let (fields, pairs) = read(&line);
        assert_eq!(&fields[..3], ["CEF:0", "jit-ssh", "ca-server"]);
        assert_eq!(&fields[4..], ["request.denied", "request.denied", "6"]);
        let value = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        assert_eq!(value("reason"), Some(expected), "{line}");
        assert_eq!((value("duser"), value("dhost"), value("suser")), (Some("a@corp"), Some("web-1"), Some("ann")));
        assert_eq!(
            (value("externalId"), value("rt"), value("src")),
            (Some("7"), Some("1800000000123"), Some("192.0.2.7"))
        );
        assert_eq!((value("cs1Label"), value("cs1")), (Some("Grant"), Some("g-1")));
        assert_eq!((value("cs4Label"), value("cs4")), (Some("Request"), Some("r-00112233445566778899aabb")));
        assert_eq!((value("cs5Label"), value("cs5")), (Some("Cause"), Some("r-1")));
        assert_eq!(pairs.iter().filter(|(key, _)| key == "suser").count(), 1, "{line}");
    }
    let v6 = Format::Cef.render(&letter("x|y", "", "2001:db8::1"));
    assert!(v6.contains("|x\\|y|x\\|y|") && v6.contains(" c6a2=2001:db8::1") && !v6.contains(" src="), "{v6}");
    assert!(Format::Cef.render(&letter("x", &"=".repeat(1 << 20), "")).len() < 4_000);
}

#[test]
fn every_code_has_its_ocsf_class() {
    let rows = [
        ("login.opened", 3002, 1, 1),
        ("login.refused", 3002, 1, 2),
        ("login.ended", 3002, 2, 1),
        ("certificate.issued", 3003, 1, 1),
        ("decision.refused", 3003, 1, 2),
        ("request.filed", 3004, 1, 1),
        ("request.narrowed", 3004, 3, 1),
        ("request.denied", 3004, 3, 2),
        ("request.approved", 3005, 1, 1),
        ("request.ended", 3005, 2, 1),
        ("policy.loaded", 3004, 3, 1),
        ("certificates.revoked", 3005, 2, 1),
        ("break-glass.opened", 3003, 1, 1),
        ("break-glass.refused", 3003, 1, 2),
        ("revocation.refused", 0, 99, 2),
        ("freeze.stopped", 3004, 3, 2),
        ("decision.limited", 3003, 1, 2),
        ("freeze.set", 3004, 3, 1),
        ("server.started", 6002, 3, 1),
        ("nobody.listed.this", 0, 99, 1),
    ];
    for (code, class, activity, status) in rows {
        let event: serde_json::Value = serde_json::from_str(&Format::Ocsf.render(&letter(code, "x", "::1"))).unwrap();
        let number = |name: &str| event[name].as_u64().unwrap();
        assert_eq!(
            (number("class_uid"), number("activity_id"), number("status_id")),
            (class, activity, status),
            "{code}"
        );
        assert_eq!(number("type_uid"), class * 100 + activity);
        assert_eq!(number("category_uid"), class / 1000);
        assert_eq!(number("time"), 1_800_000_000_123);
        assert_eq!(event["metadata"]["uid"], "7");
        assert_eq!(event["unmapped"]["code"], code, "the whole entry rides along");
        assert_eq!(event.get("user").is_some(), class / 1000 == 3, "{code}");
    }
}

/// What the entry says of itself wins over what its code would suggest; a sink's reader finds one number for it.
#[test]
fn severity_is_the_entrys_own_word() {
    let said = |code: &str, severity: Option<&str>| {
        let mut value = serde_json::json!({ "v": 1, "time_ms": 1, "request": "r-1", "code": code });
        if let Some(severity) = severity {
            value["severity"] = severity.into();
        }
        Letter::new(7, &crate::audit::Entry::from_bytes(serde_json::to_vec(&value).unwrap()))
    };
    for (code, severity, cef, ocsf) in [
        ("break-glass.opened", Some("high"), "9", 5),
        ("break-glass.reviewed", Some("info"), "3", 1),
        ("login.refused", Some("warning"), "6", 3),
        // Entries from before they said it.
        ("break-glass.opened", None, "9", 5),
        ("login.refused", None, "6", 3),
        ("login.opened", None, "3", 1),
    ] {
        let letter = said(code, severity);
        assert_eq!(read(&Format::Cef.render(&letter)).0[6], cef, "{code}");
        let event: serde_json::Value = serde_json::from_str(&Format::Ocsf.render(&letter)).unwrap();
        assert_eq!(event["severity_id"], ocsf, "{code}");
    }
}
