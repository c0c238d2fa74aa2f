//! Durations and sizes as people write them: `"30s"`, `"32MiB"`.

use std::time::Duration;

/// Durations and their written forms, the largest first.
const DURATIONS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads `"250ms"`, `"1.5s"`, `"10m"`, `"1h"` or `"1m30s"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = &rest[..letters];
        let (_, millis) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
        total += number * *millis as f64 / 1_000.0;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).ok()
}

/// Reads `"32MiB"`, `"64KiB"` or `"512B"`.
pub(super) fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    usize::try_from(number.checked_mul(*bytes)?).ok()
}

/// Writes a duration so that [`duration`] reads it back.
pub(crate) fn write_duration(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    match DURATIONS
        .iter()
        .find(|(_, unit)| millis >= *unit && millis % unit == 0)
    {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => format!("{}s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_people_write_them() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("0s", 0),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in [
            "",
            "30",
            "s",
            "30 s",
            "-1s",
            "1x",
            "1.2.3s",
            "99999999999999999999h",
            "1s2",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn writes_durations_so_that_they_read_back() {
        for millis in [1, 250, 999, 1_000, 90_000, 600_000, 3_600_000] {
            let written = write_duration(Duration::from_millis(millis));
            assert_eq!(
                duration(&written),
                Some(Duration::from_millis(millis)),
                "{written}"
            );
        }
        assert_eq!(write_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(size("32MiB"), Some(32 << 20));
        assert_eq!(size("64 KiB"), Some(64 << 10));
        assert_eq!(size("512B"), Some(512));
        assert_eq!(size("512"), None);
        assert_eq!(size("99999999999GiB"), None);
    }
}
