//! The request of a policy test.

use crate::{
    Ask, Email, Finding, Group, Identity, Issuer, Kind, Now, Reason, Seconds, Subject, Target, Ticket, UnixTime,
    toml_section::{Placed, Section},
};
use std::net::{IpAddr, Ipv4Addr};
use toml::value::{Datetime, Offset};

pub(super) const KEYS: [&str; 17] = [
    "user", "workload", "issuer", "email", "groups", "amr", "acr", "mfa", "auth_age", "claims", "source", "at",
    "target", "duration", "reason", "ticket", "subject",
];

/// Wednesday, 2026-03-04, noon, with local time at UTC: a working day, unless the test says otherwise.
const NOON: u64 = 1_772_625_600;

pub(super) fn read(section: &Section<'_>) -> Result<(Ask, Now), Finding> {
    let now = match section.moment("at")? {
        None => moment(NOON, 0),
        Some(at) => instant(at.value).map(|(utc, offset)| moment(utc, offset)).ok_or_else(|| {
            at.finding("`at` is not a moment after 1970", "write it with its offset: 2026-03-02T10:30:00+01:00")
        })?,
    };
    let ask = Ask {
        identity: identity(section, now)?,
        target: section.needed::<Target>("target")?.value,
        duration: section.word::<Seconds>("duration")?.map(value),
        reason: section.word::<Reason>("reason")?.map(value),
        ticket: section.word::<Ticket>("ticket")?.map(value),
        source: source(section)?,
    };
    Ok((ask, now))
}

/// `user` or `workload` is the subject, and the e-mail address too where it reads like one and no other is given.
fn identity(section: &Section<'_>, now: Now) -> Result<Identity, Finding> {
    let (kind, name) = match (section.text("user")?, section.text("workload")?) {
        (Some(name), None) => (Kind::User, name),
        (None, Some(name)) => (Kind::Workload, name),
        _ => return Err(section.finding("a test names one of `user` and `workload`", "add user = \"ann@example.com\"")),
    };
    let key = if kind == Kind::User { "user" } else { "workload" };
    let subject = match section.word::<Subject>("subject")? {
        Some(subject) => subject.value,
        None => section.needed::<Subject>(key)?.value,
    };
    let email = section.word::<Email>("email")?.map(value);
    let email = email.or_else(|| name.value.parse().ok().filter(|_| kind == Kind::User));
    let issuer = section.word::<Issuer>("issuer")?.map(value);
    let default = || "https://issuer.example.com".parse().map_err(|_| section.finding("no issuer", "add one"));
    let auth_age = section.word::<Seconds>("auth_age")?.map(value);
    let texts = |list: Option<Vec<Placed<'_, &str>>>| {
        list.unwrap_or_default().iter().map(|text| text.value.to_owned()).collect::<Vec<_>>()
    };
    let claims = section.pairs("claims", 64)?;
    Ok(Identity {
        kind,
        issuer: issuer.map_or_else(default, Ok)?,
        subject,
        email,
        groups: section.words::<Group>("groups", 500)?.unwrap_or_default().into_iter().map(value).collect(),
        amr: texts(section.texts("amr", 32)?),
        acr: section.text("acr")?.map(|acr| acr.value.to_owned()),
        mfa: section.flag("mfa")?.unwrap_or(false),
        auth_time: auth_age.map(|age| now.time.minus(age)),
        claims: claims.into_iter().map(|(name, claim)| (name.value.to_owned(), claim.to_owned())).collect(),
        known_as: Vec::new(),
    })
}

fn source(section: &Section<'_>) -> Result<IpAddr, Finding> {
    let Some(text) = section.text("source")? else { return Ok(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))) };
    let wrong = |_| text.finding(format!("`{}` is not an IP address", text.value), "write one like 192.0.2.1");
    text.value.parse().map_err(wrong)
}

/// Local time is what the clock on the wall at that offset shows.
fn moment(utc: u64, offset: i64) -> Now {
    let local = utc.saturating_add_signed(offset);
    let weekday = (local / 86_400 + 3) % 7 + 1;
    Now {
        time: UnixTime::from_secs(utc),
        weekday: u8::try_from(weekday).unwrap_or(1),
        minute: u16::try_from(local % 86_400 / 60).unwrap_or(0),
    }
}

/// Seconds since 1970 and the offset in seconds.
fn instant(at: &Datetime) -> Option<(u64, i64)> {
    let (date, time) = (at.date?, at.time?);
    let offset = match at.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes) * 60,
    };
    // Days since 1970 of the proleptic Gregorian calendar, the year counted from March so that a leap day is its last.
    let month = i64::from(date.month);
    let year = i64::from(date.year) - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(date.day) - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let second = i64::from(time.second);
    let local = days * 86_400 + i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + second;
    u64::try_from(local - offset).ok().map(|utc| (utc, offset))
}

fn value<T>(placed: Placed<'_, T>) -> T {
    placed.value
}
