//! Durations as services write them.

use std::time::Duration;

use super::FOREVER;

/// A second, in the nanoseconds that everything here is counted in.
pub(super) const SECOND: u128 = 1_000_000_000;

/// Numbers with units, the larger first as a rule: `6m0s`, `1h2m3.5s`, `12ms`. A unit is needed.
pub(super) fn with_units(mut text: &str) -> Option<Duration> {
    let mut nanos = 0u128;
    loop {
        let number = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(number);
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let unit = match unit {
            "h" => 3600 * SECOND,
            "m" => 60 * SECOND,
            "s" => SECOND,
            "ms" => SECOND / 1_000,
            // Both of Unicode's signs for "micro".
            "us" | "\u{b5}s" | "\u{3bc}s" => SECOND / 1_000_000,
            "ns" => 1,
            _ => return None,
        };
        nanos = nanos.saturating_add(decimal(number, unit)?);
        if rest.is_empty() {
            return Some(from_nanos(nanos));
        }
        text = rest;
    }
}

/// Digits and nothing else, however many: a number too large for its type is as large as it can
/// be. (The standard parser takes a sign, and refuses the large.)
pub(super) fn whole(text: &str) -> Option<u128> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u128::MAX))
}

/// A decimal number of `unit`s, in nanoseconds; what is finer than those is cut off.
pub(super) fn decimal(text: &str, unit: u128) -> Option<u128> {
    let (number, fraction) = text.split_once('.').unwrap_or((text, "0"));
    whole(fraction)?;
    let fraction = &fraction[..fraction.len().min(9)];
    let part = whole(fraction)? * unit / 10u128.pow(fraction.len() as u32);
    Some(whole(number)?.saturating_mul(unit).saturating_add(part))
}

/// That many nanoseconds, or thirty years where they are more.
pub(super) fn from_nanos(nanos: u128) -> Duration {
    if nanos >= FOREVER.as_nanos() {
        return FOREVER;
    }
    Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32)
}
