//! The pages: small, plain, and each says what this is.

use super::{Room, person::Person};
use axum::{
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use std::sync::Arc;

/// Stands on every page.
const WARNING: &str = "DEVELOPMENT PROVIDER – not for production";

/// The page at `/`.
pub(super) async fn front(State(room): State<Arc<Room>>) -> Response {
    let issuer = escaped(room.issuer.as_str());
    page(
        StatusCode::OK,
        &format!(
            "<p>This is <code>{issuer}</code>. Here anybody is whoever they pick. Log in with <code>jit-ssh login</code>.</p>"
        ),
    )
}

/// The page on which somebody is chosen. An ordinary form, so a script can send it too: `request` and `person`.
pub(super) fn choose(people: &[Person], request: &str, login_hint: Option<&str>) -> Response {
    let button = |person: &Person| {
        let login = escaped(&person.login);
        let hinted = if login_hint == Some(person.login.as_str()) { " autofocus" } else { "" };
        let groups = escaped(&person.groups.join(", "));
        let factors = if person.mfa { "several factors" } else { "one factor" };
        format!(
            "<p><button name=\"person\" value=\"{login}\"{hinted}>{login}</button> {} · groups: {groups} · {factors}</p>\n",
            escaped(&person.email)
        )
    };
    let buttons: String = people.iter().map(button).collect();
    page(
        StatusCode::OK,
        &format!(
            "<p>jit-ssh asks who you are. Who do you want to be?</p>\n<form method=\"post\" action=\"/authorize\">\n\
             <input type=\"hidden\" name=\"request\" value=\"{}\">\n{buttons}\
             <p><button name=\"person\" value=\"\">Cancel</button></p>\n</form>",
            escaped(request)
        ),
    )
}

/// The page that says what is wrong. `text` is one of ours, never a stranger's.
pub(super) fn problem(text: &'static str) -> Response {
    page(StatusCode::BAD_REQUEST, &format!("<p>{}</p>", escaped(text)))
}

fn page(status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{WARNING}</title>\n\
         <style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:2em auto;padding:0 1em}}\
         h1{{font-size:1.2em;background:#b00;color:#fff;padding:.5em}}button{{font:inherit;padding:.3em 1em}}</style>\n\
         <h1>{WARNING}</h1>\n{body}\n</html>\n"
    );
    (status, Html(html)).into_response()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
        safe
    })
}
