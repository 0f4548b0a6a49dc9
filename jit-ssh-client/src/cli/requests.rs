//! The verbs around requests.

use super::Why;
use crate::clock;
use clap::{ArgGroup, Args};
use jiff::{Timestamp, civil, tz::TimeZone};
use policy::{GrantId, HostName, PolicyId, Reason, RequestId, Seconds, Ticket, UnixTime};
use std::str::FromStr;

/// `request`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh request deploy@db-1 deploy@db-2 --for 30m --reason 'roll back 4.2' --wait")]
pub struct RequestAccess {
    /// What to reach
    #[arg(value_name = "ACCOUNT@HOST", required = true, num_args = 1..=32)]
    pub targets: Vec<String>,
    /// What to say beside the targets
    #[command(flatten)]
    pub why: Why,
    /// Not before then: +2h, 22:00, 2026-11-22T22:00, or with an offset (Z, +01:00); local time otherwise
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub start: Option<When>,
    /// Under this policy, where several would do
    #[arg(long, value_name = "POLICY")]
    pub under: Option<PolicyId>,
    /// Wait until people have decided; exit code 3 if they say no
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Only say what would happen: on which terms, who may approve
    #[arg(long)]
    pub dry_run: bool,
}

/// `requests`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("view"), after_help = "Example: jit-ssh requests --all --user ann@example.com --stage active")]
pub struct Requests {
    /// Your own (the default)
    #[arg(long, group = "view")]
    pub mine: bool,
    /// Those that wait and that you may review
    #[arg(long, group = "view")]
    pub review: bool,
    /// Emergency access that nobody has reviewed: your own, and what you may review
    #[arg(long, group = "view")]
    pub unreviewed: bool,
    /// All that you may audit
    #[arg(long, group = "view")]
    pub all: bool,
    /// What they have in common
    #[command(flatten)]
    pub only: Sought,
    /// At most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

/// Which of them
#[derive(Clone, Debug, Default, Args)]
pub struct Sought {
    /// Asked for by whoever has this e-mail address or subject
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// For this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// Under this ticket
    #[arg(long, value_name = "ID")]
    pub ticket: Option<Ticket>,
    /// In this stage, or ended this way; open is whatever is not over
    #[arg(long, value_name = "STAGE", value_parser = api::STAGES)]
    pub stage: Option<String>,
}

/// `show`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh show r-00112233445566778899aabb")]
pub struct Show {
    /// Which request
    pub id: RequestRef,
}

/// `extend`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: jit-ssh extend r-00112233445566778899aabb --by 20m --reason 'the import is still running'"
)]
pub struct Extend {
    /// Which request or grant
    pub id: RequestRef,
    /// How much longer, for example 20m
    #[arg(long, value_name = "DURATION", value_parser = super::span)]
    pub by: Seconds,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
    /// Under which ticket
    #[arg(long, value_name = "ID")]
    pub ticket: Option<Ticket>,
    /// Wait until people have decided; exit code 3 if they say no
    #[arg(long)]
    pub wait: bool,
}

/// `done`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh done")]
pub struct Done {
    /// Which requests or grants; those of your live certificates if none is named
    pub ids: Vec<RequestRef>,
}

/// `cancel`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh cancel r-00112233445566778899aabb")]
pub struct Cancel {
    /// Which request
    pub id: RequestRef,
}

/// `review`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh review")]
pub struct Review {
    /// This one; all that wait for you if none is named
    pub id: Option<RequestRef>,
}

/// `approve`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh approve r-00112233445566778899aabb --for 20m --only db-1")]
pub struct Approve {
    /// Which request
    pub id: RequestRef,
    /// For no longer than this
    #[arg(long = "for", value_name = "DURATION", value_parser = super::span)]
    pub duration: Option<Seconds>,
    /// On this host only; may be repeated
    #[arg(long, value_name = "HOST")]
    pub only: Vec<HostName>,
    /// In your words
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
    /// Do not ask whether you mean it
    #[arg(long, short)]
    pub yes: bool,
}

/// `deny`
#[derive(Debug, Args)]
#[command(after_help = "Example: jit-ssh deny r-00112233445566778899aabb --reason 'not before the backup'")]
pub struct Deny {
    /// Which request
    pub id: RequestRef,
    /// Why; asked for on a terminal if missing
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
}

/// A request, named by its own id or by that of the grant it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRef(pub RequestId);

impl FromStr for RequestRef {
    type Err = policy::WordError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<GrantId>() {
            Ok(grant) => Ok(Self(grant.request())),
            Err(_no_grant) => text.parse().map(Self),
        }
    }
}

/// An instant, as people write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(pub UnixTime);

/// It is not written in any of these ways.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write it like +2h, 22:00, 2026-11-22T22:00 or 2026-11-22T22:00:00Z")]
pub struct NoTime;

impl FromStr for When {
    type Err = NoTime;
    fn from_str(text: &str) -> Result<Self, NoTime> {
        when(text, clock::now(), &TimeZone::system()).map(Self).ok_or(NoTime)
    }
}

/// A clock time without a date is the next one.
fn when(text: &str, now: UnixTime, zone: &TimeZone) -> Option<UnixTime> {
    if let Some(span) = text.strip_prefix('+') {
        return span.parse().ok().map(|span| now.plus(span));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return unix(instant);
    }
    let local = |date_time: civil::DateTime| unix(date_time.to_zoned(zone.clone()).ok()?.timestamp());
    if let Ok(date_time) = text.parse::<civil::DateTime>() {
        return local(date_time);
    }
    let time: civil::Time = text.parse().ok()?;
    let today = Timestamp::from_second(i64::try_from(now.as_secs()).ok()?).ok()?.to_zoned(zone.clone()).date();
    let next = local(today.to_datetime(time)).filter(|instant| *instant > now);
    next.or_else(|| local(today.tomorrow().ok()?.to_datetime(time)))
}

fn unix(instant: Timestamp) -> Option<UnixTime> {
    u64::try_from(instant.as_second()).ok().map(UnixTime::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 10:00 in Berlin.
    const NOW: UnixTime = UnixTime::from_secs(1_795_338_000);

    #[test]
    fn a_start_is_read_as_people_write_it() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, expected) in [
            ("+2h", Some("2026-11-22T11:00:00Z")),
            ("22:00", Some("2026-11-22T21:00:00Z")),
            ("09:30", Some("2026-11-23T08:30:00Z")),
            ("2026-12-01T08:00", Some("2026-12-01T07:00:00Z")),
            ("2026-12-01 08:00", Some("2026-12-01T07:00:00Z")),
            ("2026-12-01T08:00:00Z", Some("2026-12-01T08:00:00Z")),
            ("2026-12-01T08:00:00-05:00", Some("2026-12-01T13:00:00Z")),
            ("tomorrow", None),
            ("2h", None),
            ("+", None),
            ("25:00", None),
            ("", None),
        ] {
            let read = when(text, NOW, &berlin).map(clock::rfc3339);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_grant_names_its_request() {
        let by_grant: RequestRef = "g-00112233445566778899aabb".parse().unwrap();
        assert_eq!(by_grant, "r-00112233445566778899aabb".parse().unwrap());
        for hostile in ["", "r-", "r-../../x", "x", "r-00112233445566778899aab\u{1b}"] {
            assert!(hostile.parse::<RequestRef>().is_err(), "{hostile:?}");
        }
    }
}
