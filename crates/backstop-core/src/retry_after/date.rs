//! Points in time as services write them, each as nanoseconds of Unix time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::duration::{SECOND, decimal, from_nanos, whole, with_units};

/// A point in time; one before 1970 counts as 1970.
pub(super) fn unix(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

/// A date in any of the three forms that HTTP allows.
pub(super) fn http(text: &str) -> Option<u128> {
    httpdate::parse_http_date(text).ok().map(unix)
}

/// How long until a limit on the rate of calls is lifted, in whichever form the service prefers:
/// a duration with units, seconds, Unix time in seconds or milliseconds, or a date.
pub(super) fn until_reset(text: &str, received: Option<u128>) -> Option<Duration> {
    let at = if let Some(number) = decimal(text, SECOND) {
        // Nobody means thirty years: a number this large is a point in time.
        match number / SECOND {
            0..1_000_000_000 => return Some(from_nanos(number)),
            1_000_000_000..1_000_000_000_000 => number,
            _ => number / 1_000,
        }
    } else if let Some(wait) = with_units(text) {
        return Some(wait);
    } else {
        rfc3339(text).or_else(|| http(text))?
    };
    Some(from_nanos(at.saturating_sub(received?)))
}

/// A date such as `2026-07-01T12:00:00.5Z` or `2026-07-01t14:00:00+02:00`.
fn rfc3339(text: &str) -> Option<u128> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    let year = number(date, 0, 4, 0..=9999)?;
    let month = number(date, 5, 7, 1..=12)?;
    let day = number(date, 8, 10, 1..=31)?;

    let (clock, rest) = time.split_at_checked(8)?;
    let hour = number(clock, 0, 2, 0..=23)?;
    let minute = number(clock, 3, 5, 0..=59)?;
    // A leap second is the second after.
    let second = number(clock, 6, 8, 0..=60)?;

    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone);
    let fraction = match fraction {
        "" => 0,
        _ => decimal(&format!("0{fraction}"), SECOND)?,
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let hours = number(zone, 1, 3, 0..=23)?;
            let minutes = number(zone, 4, 6, 0..=59)?;
            let east = (hours * 60 + minutes) * 60;
            if zone.starts_with('-') { -east } else { east }
        }
    };
    let separated = date.as_bytes()[4] == b'-'
        && date.as_bytes()[7] == b'-'
        && clock.as_bytes()[2] == b':'
        && clock.as_bytes()[5] == b':'
        && (zone.len() == 1 || (zone.len() == 6 && zone.as_bytes()[3] == b':'));
    if !separated {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = u128::try_from(seconds - offset).unwrap_or(0);
    Some(seconds * SECOND + fraction)
}

/// The digits from `start` to `end`, within `range`.
fn number(
    text: &str,
    start: usize,
    end: usize,
    range: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let number = i64::try_from(whole(text.get(start..end)?)?).ok()?;
    range.contains(&number).then_some(number)
}

/// The days from 1970-01-01 to a date of the Gregorian calendar. A year is counted from March, so
/// that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month {
        ..=2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    /// From the first of March of year 0 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    year * 365 + leap_days + day_of_year - EPOCH
}
