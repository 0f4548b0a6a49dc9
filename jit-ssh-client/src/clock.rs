//! The one place that reads the wall clock.

use policy::UnixTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch; 0 on a clock that stands before it, which every check then refuses.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since the epoch.
pub fn now() -> UnixTime {
    UnixTime::from_secs(now_ms() / 1000)
}

/// `2026-11-22T01:02:03Z`.
pub fn rfc3339(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| format!("@{}", time.as_secs()), |stamp| stamp.to_string())
}

/// How long until `time`, for people: `4m59s`, or `over`.
pub fn left(now: UnixTime, time: UnixTime) -> String {
    match time.since(now) {
        0 => "over".to_owned(),
        seconds => policy::Seconds::new(u32::try_from(seconds).unwrap_or(u32::MAX)).to_string(),
    }
}

/// How long since `time`, for people: `4m59s ago`.
pub fn ago(now: UnixTime, time: UnixTime) -> String {
    format!("{} ago", policy::Seconds::new(u32::try_from(now.since(time)).unwrap_or(u32::MAX)))
}

/// `server_ms` less our clock: what to add to ours to get the server's.
pub fn offset_ms(server_ms: u64) -> i64 {
    let ours = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    i64::try_from(server_ms).unwrap_or(i64::MAX).saturating_sub(ours)
}

/// Now by a clock that is `offset_ms` ahead. To the millisecond before it is cut to seconds: cut twice, twelve hours
/// are left as `12h1s`.
pub fn at_server(offset_ms: i64) -> UnixTime {
    at(now_ms(), offset_ms)
}

fn at(now_ms: u64, offset_ms: i64) -> UnixTime {
    UnixTime::from_secs(now_ms.saturating_add_signed(offset_ms) / 1000)
}

/// `time` on a clock that is `offset_ms` ahead.
pub fn shifted(time: UnixTime, offset_ms: i64) -> UnixTime {
    UnixTime::from_secs(time.as_secs().saturating_add_signed(offset_ms / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_hours_are_twelve_hours() {
        // 100.8 s here, 101.2 s there, where twelve hours began at 101.1 s.
        let expires = UnixTime::from_secs(101 + 12 * 3600);
        assert_eq!(left(at(100_800, 400), expires), "12h");
        assert_eq!(left(at(101_600, -400), expires), "12h");
    }
}
