//! Routes under `/v1/requests`: queries, entity tags and idempotency keys in, verbs, entity tags out.

use super::{
    answer::{self, Answer},
    routes::Sent,
};
use crate::{
    app::App,
    refusal::Refusal,
    verbs::{
        authenticate::Caller,
        ends, glass,
        hosts::Part,
        requests,
        requests::{Filter, MOST_LISTED, MOST_WAIT, Outcome, Page, Shown, View, Wanted},
        reviews,
    },
};
use api::Code;
use hyper::{
    StatusCode,
    header::{HeaderName, IF_MATCH, IF_NONE_MATCH},
};
use std::time::Duration;

/// What is done with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    List,
    File,
    Show,
    Approve,
    Deny,
    Cancel,
    End,
    Reviewed,
}

/// A page, where nothing is said of its length.
const PAGE: usize = 50;
/// The longest part of the list of hosts.
const MOST_HOSTS: usize = 1_000;
/// The longest header value that means something here.
const LONGEST: usize = 128;
/// The longest name that is looked for: no subject is longer.
const LONGEST_NAME: usize = 512;

pub(super) async fn serve(on: On, app: &App, caller: &Caller, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    match on {
        On::List => {
            let (view, page) = page(sent.query)?;
            answer::json(StatusCode::OK, &requests::list(app, caller, view, page).await?)
        }
        On::File => {
            let key = one(sent, HeaderName::from_static("idempotency-key"))?;
            match requests::file(app, caller, sent.json()?, key).await? {
                Outcome::Filed(shown) => with_tag(StatusCode::CREATED, &shown),
                Outcome::AsBefore(shown) => with_tag(StatusCode::OK, &shown),
            }
        }
        On::Show => {
            let known = one(sent, IF_NONE_MATCH)?;
            match requests::show(app, caller, sent.id, known, wait(sent.query)?).await? {
                Some(shown) => with_tag(StatusCode::OK, &shown),
                None => Ok(answer::not_modified(known.unwrap_or_default())),
            }
        }
        On::Approve => {
            let expected = one(sent, IF_MATCH)?;
            with_tag(StatusCode::OK, &reviews::approve(app, caller, sent.id, expected, sent.json()?).await?)
        }
        On::Deny => {
            let expected = one(sent, IF_MATCH)?;
            with_tag(StatusCode::OK, &reviews::deny(app, caller, sent.id, expected, sent.json()?).await?)
        }
        On::Reviewed => {
            let expected = one(sent, IF_MATCH)?;
            with_tag(StatusCode::OK, &glass::review(app, caller, sent.id, expected, sent.json()?).await?)
        }
        On::Cancel => {
            let expected = one(sent, IF_MATCH)?;
            with_tag(StatusCode::OK, &ends::cancel(app, caller, sent.id, expected).await?)
        }
        On::End => {
            let expected = one(sent, IF_MATCH)?;
            let (receipt, etag) = ends::end(app, caller, sent.id, expected, sent.json()?).await?;
            Ok(answer::tagged(answer::json(StatusCode::OK, &receipt)?, &etag))
        }
    }
}

fn with_tag(status: StatusCode, shown: &Shown) -> Result<Answer, Refusal> {
    Ok(answer::tagged(answer::json(status, &shown.body)?, &shown.etag))
}

/// The header, if it is there once.
fn one<'a>(sent: &Sent<'a>, name: HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut all = sent.headers.get_all(&name).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| text.len() <= LONGEST && all.next().is_none());
    text.map(Some).ok_or_else(|| Refusal::new(Code::BadRequest, format!("the header {name} must come once, in ASCII")))
}

/// How long an answer may wait: `wait=SECONDS`.
pub(super) fn wait(query: Option<&str>) -> Result<Duration, Refusal> {
    let [wait] = fields(query, ["wait"])?;
    let Some(wait) = wait else { return Ok(Duration::ZERO) };
    let seconds = wait.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    seconds
        .filter(|wait| *wait <= MOST_WAIT)
        .ok_or_else(|| bad_query(&format!("wait is a number of seconds, at most {}", MOST_WAIT.as_secs())))
}

fn page(query: Option<&str>) -> Result<(View, Page), Refusal> {
    let [view, after, limit, user, host, ticket, stage] =
        fields(query, ["view", "after", "limit", "user", "host", "ticket", "stage"])?;
    let view = match view {
        None | Some("mine") => View::Mine,
        Some("review") => View::Review,
        Some("unreviewed") => View::Unreviewed,
        Some("all") => View::All,
        Some(_) => return Err(bad_query("view is mine, review, unreviewed or all")),
    };
    let after =
        after.map(|id| id.parse().map_err(|_not_an_id| bad_query("after is the id of a request"))).transpose()?;
    let limit = match limit {
        None => PAGE,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=MOST_LISTED).contains(limit))
            .ok_or_else(|| bad_query(&format!("limit is a number from 1 to {MOST_LISTED}")))?,
    };
    let only = Filter {
        user: user.map(unescaped).transpose()?,
        host: host.map(|host| host.parse().map_err(|_no_name| bad_query("host is the name of a host"))).transpose()?,
        ticket: ticket
            .map(|id| id.parse().map_err(|_no_ticket| bad_query("ticket is a ticket's number")))
            .transpose()?,
        stage: stage
            .map(|name| Wanted::named(name).ok_or_else(|| bad_query("no request is ever in that stage")))
            .transpose()?,
    };
    Ok((view, Page { after, limit, only }))
}

/// Which part of the list of hosts: `after=HOST&limit=N`.
pub(super) fn part(query: Option<&str>) -> Result<Part, Refusal> {
    let [after, limit] = fields(query, ["after", "limit"])?;
    let after =
        after.map(|name| name.parse().map_err(|_no_name| bad_query("after is the name of a host"))).transpose()?;
    let sound = |limit: &str| limit.parse().ok().filter(|limit| (1..=MOST_HOSTS).contains(limit));
    let wrong = || bad_query(&format!("limit is a number from 1 to {MOST_HOSTS}"));
    let limit = limit.map(|limit| sound(limit).ok_or_else(wrong)).transpose()?;
    Ok(Part { after, limit })
}

/// A name, which may hold any letter.
fn unescaped(value: &str) -> Result<String, Refusal> {
    let sound =
        |name: &str| !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(char::REPLACEMENT_CHARACTER);
    let name =
        url::form_urlencoded::parse(format!("name={value}").as_bytes()).next().map(|(_, name)| name.into_owned());
    name.filter(|name| sound(name)).ok_or_else(|| bad_query("user is an e-mail address or a subject"))
}

/// The values of these fields and no others, each at most once. None of them but a name ever needs an escape.
fn fields<'q, const N: usize>(query: Option<&'q str>, names: [&str; N]) -> Result<[Option<&'q str>; N], Refusal> {
    let mut values = [None; N];
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad_query("write the query as name=value"))?;
        let place = names.iter().position(|known| *known == name);
        match place.and_then(|place| values.get_mut(place)) {
            Some(slot @ None) => *slot = Some(value),
            Some(Some(_)) => return Err(bad_query("a field of the query comes twice")),
            None => return Err(bad_query("this route does not take a field of the query")),
        }
    }
    Ok(values)
}

fn bad_query(message: &str) -> Refusal {
    Refusal::new(Code::BadRequest, message).hint("/openapi.json describes what this route takes")
}
