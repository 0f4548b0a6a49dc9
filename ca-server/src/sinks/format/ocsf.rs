//! OCSF 1.3: which class each code is, and the attributes that the class demands. The whole entry rides in `unmapped`.

use crate::sinks::letter::{Letter, Weight, inert};
use serde_json::{Map, Value, json};

/// What a code is in OCSF.
#[derive(Clone, Copy)]
struct Class {
    category: u64,
    class: u64,
    activity: u64,
}

const fn class(category: u64, class: u64, activity: u64) -> Class {
    Class { category, class, activity }
}

/// The first row whose beginning fits. A code that nobody listed is a Base Event, activity Other: it is never lost.
const CLASSES: [(&str, Class); 17] = [
    // Authentication: Logon, Logoff.
    ("login.ended", class(3, 3002, 2)),
    ("login.", class(3, 3002, 1)),
    // Authorize Session: Assign Privileges.
    ("certificate.issued", class(3, 3003, 1)),
    ("decision.", class(3, 3003, 1)),
    ("break-glass.", class(3, 3003, 1)),
    // User Access Management: Assign Privileges, Revoke Privileges.
    ("request.approved", class(3, 3005, 1)),
    ("request.ended", class(3, 3005, 2)),
    ("request.revoked", class(3, 3005, 2)),
    ("grant.ended", class(3, 3005, 2)),
    ("grant.revoked", class(3, 3005, 2)),
    ("grant.finished", class(3, 3005, 2)),
    ("certificates.revoked", class(3, 3005, 2)),
    // Entity Management: Create, Update.
    ("request.filed", class(3, 3004, 1)),
    ("request.", class(3, 3004, 3)),
    ("policy.", class(3, 3004, 3)),
    ("freeze.", class(3, 3004, 3)),
    // Application Lifecycle: Start.
    ("server.started", class(6, 6002, 3)),
];

pub(super) fn render(letter: &Letter) -> String {
    let listed = CLASSES.iter().find(|(beginning, _)| letter.code.starts_with(beginning));
    let Class { category, class, activity } = listed.map_or(class(0, 0, 99), |(_, class)| *class);
    let severity = match letter.weight() {
        Weight::Usual => 1,
        Weight::Warning => 3,
        Weight::Loud => 5,
    };
    // Success or Failure is another question than how loud: a revocation succeeded, a refused emergency did not.
    let failed = [".refused", ".denied", ".stopped", ".limited"].iter().any(|end| letter.code.ends_with(end));
    let status = if failed { 2 } else { 1 };
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| {
        event.insert(name.to_owned(), value);
    };
    put("category_uid", json!(category));
    put("class_uid", json!(class));
    put("activity_id", json!(activity));
    put("type_uid", json!(class * 100 + activity));
    put("time", json!(letter.time_ms));
    put("severity_id", json!(severity));
    put("status_id", json!(status));
    put("message", json!(letter.line()));
    put(
        "metadata",
        json!({
            "version": "1.3.0",
            "product": {"name": "jit-ssh", "vendor_name": "jit-ssh", "version": env!("CARGO_PKG_VERSION")},
            "uid": letter.index.to_string(),
            "event_code": letter.code,
            "correlation_uid": letter.text("/request"),
        }),
    );
    if category == 3 {
        put("user", user(letter));
        put("actor", json!({"user": user(letter)}));
    }
    match class {
        3003 => put("privileges", json!([letter.text("/target").unwrap_or("none")])),
        3005 => put("resource", json!({"name": letter.text("/target").unwrap_or("none")})),
        3004 => put("entity", json!({"name": letter.code, "uid": letter.index.to_string()})),
        6002 => put("app", json!({"name": "ca-server", "vendor_name": "jit-ssh", "version": letter.text("/version")})),
        _ => {}
    }
    if let Some(source) = letter.text("/source") {
        put("src_endpoint", json!({"ip": source}));
    }
    put("unmapped", letter.fields.clone());
    inert(Value::Object(event).to_string())
}

fn user(letter: &Letter) -> Value {
    let issuer = letter.text("/actor/issuer").or_else(|| letter.text("/issuer"));
    json!({
        "name": letter.who().unwrap_or("unknown"),
        "uid": letter.text("/actor/subject").or_else(|| letter.text("/subject")),
        "email_addr": letter.text("/actor/email"),
        "domain": issuer,
    })
}
