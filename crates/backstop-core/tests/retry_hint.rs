//! What services say about trying again, in all their dialects.

#![cfg(feature = "http")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backstop_core::{Fault, FaultKind, RetryHint};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

/// The date that every response here bears: 1696004797 in Unix time.
const DATE: &str = "Fri, 29 Sep 2023 16:26:37 GMT";

const NO_HINT: (Option<Duration>, Option<bool>) = (None, None);
const GIVE_UP: (Option<Duration>, Option<bool>) = (None, Some(false));

fn read(headers: &[(&str, &str)]) -> (Option<Duration>, Option<bool>) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a name");
        map.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    let hint = RetryHint::from_headers(&map);
    (hint.after(), hint.should_retry())
}

fn dated(name: &str, value: &str) -> (Option<Duration>, Option<bool>) {
    read(&[("date", DATE), (name, value)])
}

fn millis(millis: u64) -> (Option<Duration>, Option<bool>) {
    (Some(Duration::from_millis(millis)), None)
}

fn secs(secs: u64) -> (Option<Duration>, Option<bool>) {
    millis(secs * 1000)
}

#[test]
fn reads_seconds() {
    assert_eq!(dated("retry-after", "120"), secs(120));
    assert_eq!(dated("retry-after", " 120 "), secs(120));
    assert_eq!(dated("retry-after", "007"), secs(7));
    assert_eq!(read(&[("content-type", "text/html")]), NO_HINT);
}

#[test]
fn reads_a_date_in_all_three_forms_against_the_date_of_the_response() {
    for date in [
        "Fri, 29 Sep 2023 16:27:37 GMT",
        "Friday, 29-Sep-23 16:27:37 GMT",
        "Fri Sep 29 16:27:37 2023",
    ] {
        assert_eq!(dated("retry-after", date), secs(60), "{date}");
    }
}

#[test]
fn compares_a_date_with_the_wall_time_passed_in_where_the_response_has_none() {
    let mut headers = HeaderMap::new();
    let date = HeaderValue::from_static("Fri, 29 Sep 2023 16:27:37 GMT");
    headers.insert("retry-after", date);
    let now = UNIX_EPOCH + Duration::from_secs(1_696_004_797);
    let hint = RetryHint::from_headers_at(&headers, Some(now));
    assert_eq!(hint.after(), Some(Duration::from_secs(60)));
    // Without either the wait can't be known, so it is not taken for none.
    let hint = RetryHint::from_headers(&headers);
    assert_eq!((hint.after(), hint.should_retry()), GIVE_UP);
}

#[test]
fn the_date_of_the_response_wins_over_the_wall_time_so_that_a_skewed_clock_does_no_harm() {
    let mut headers = HeaderMap::new();
    headers.insert("date", HeaderValue::from_static(DATE));
    let date = HeaderValue::from_static("Fri, 29 Sep 2023 16:27:37 GMT");
    headers.insert("retry-after", date);
    let hint = RetryHint::from_headers_at(&headers, Some(UNIX_EPOCH));
    assert_eq!(hint.after(), Some(Duration::from_secs(60)));
}

#[test]
fn zero_or_a_past_date_is_no_hint_so_that_the_own_backoff_holds() {
    assert_eq!(dated("retry-after", "0"), NO_HINT);
    assert_eq!(dated("retry-after", ""), NO_HINT);
    assert_eq!(dated("retry-after", DATE), NO_HINT);
    let past = "Fri, 29 Sep 2023 16:26:27 GMT";
    assert_eq!(dated("retry-after", past), NO_HINT);
    let long_past = "Sun Nov  6 08:49:37 1994";
    assert_eq!(dated("retry-after", long_past), NO_HINT);
}

#[test]
fn what_cannot_be_understood_forbids_the_retry_rather_than_hasten_it() {
    for value in [
        "-1",
        "+5",
        "1.5",
        "1e309",
        "inf",
        "nan",
        "NaN",
        "soon",
        "120, 60",
        "Fri, 29 Sep 100000 16:26:57 GMT",
        "Zun, 29 Sep 2023 16:26:57 GMT",
        "Fri, 29 Sep 2023 16:26:60 GMT",
        "\u{661}\u{662}",
        "5\u{a0}",
    ] {
        assert_eq!(dated("retry-after", value), GIVE_UP, "{value:?}");
    }
    let insistent = read(&[("retry-after", "soon"), ("x-should-retry", "true")]);
    assert_eq!(insistent, GIVE_UP);
}

#[test]
fn absurdly_long_waits_saturate_and_can_be_added_to_an_instant() {
    for value in [
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let (after, should_retry) = dated("retry-after", value);
        let after = after.unwrap();
        assert_eq!(after.as_secs(), 86_400 * 365 * 30, "{value}");
        assert_eq!(should_retry, None);
        let _ = tokio::time::Instant::now() + after;
    }
}

#[test]
fn milliseconds_go_before_seconds() {
    let both = [("retry-after", "1"), ("retry-after-ms", "660")];
    assert_eq!(read(&both), millis(660));
    let azure = [("retry-after", "1"), ("x-ms-retry-after-ms", "20000")];
    assert_eq!(read(&azure), secs(20));
    assert_eq!(
        read(&[("retry-after-ms", "12.5")]).0.unwrap().as_micros(),
        12_500
    );
    let fall_through = [("retry-after", "3"), ("retry-after-ms", "none")];
    assert_eq!(read(&fall_through), secs(3));
    let nothing_said = [("retry-after", "3"), ("retry-after-ms", "0")];
    assert_eq!(read(&nothing_said), secs(3));
}

#[test]
fn of_several_waits_under_one_name_the_longest_holds() {
    assert_eq!(
        read(&[("retry-after", "3"), ("retry-after", "30")]),
        secs(30)
    );
    assert_eq!(read(&[("retry-after", "3"), ("retry-after", "x")]), GIVE_UP);
}

#[test]
fn an_outright_word_goes_before_everything() {
    assert_eq!(read(&[("x-should-retry", "false")]), (None, Some(false)));
    assert_eq!(read(&[("x-should-retry", "True")]), (None, Some(true)));
    assert_eq!(read(&[("x-should-retry", "perhaps")]), NO_HINT);
    let (after, should) = read(&[("x-should-retry", "false"), ("retry-after", "3")]);
    assert_eq!((after, should), (Some(Duration::from_secs(3)), Some(false)));
}

#[test]
fn reads_when_a_used_up_rate_limit_is_lifted_in_every_encoding() {
    for (value, expected) in [
        ("6m0s", secs(360)),
        ("21m36.001s", millis(1_296_001)),
        ("1h2m3s", secs(3723)),
        ("12ms", millis(12)),
        ("300\u{b5}s", (Some(Duration::from_micros(300)), None)),
        ("0s", NO_HINT),
        ("60", secs(60)),
        ("0.5", millis(500)),
        ("1696004857", secs(60)),
        ("1696004857250", millis(60_250)),
        ("2023-09-29T16:27:37Z", secs(60)),
        ("2023-09-29t18:27:37.5+02:00", millis(60_500)),
        ("2023-09-29T15:27:37-01:00", secs(60)),
        ("2024-03-01T00:00:00Z", secs(13_246_403)),
        ("1970-01-01T00:00:00Z", NO_HINT),
        ("0000-01-01T00:00:00Z", NO_HINT),
        ("Fri, 29 Sep 2023 16:27:37 GMT", secs(60)),
    ] {
        assert_eq!(
            dated("x-ratelimit-reset-requests", value),
            expected,
            "{value}"
        );
        assert_eq!(dated("x-ratelimit-reset", value), expected, "{value}");
        let name = "anthropic-ratelimit-input-tokens-reset";
        assert_eq!(dated(name, value), expected, "{value}");
    }
}

#[test]
fn a_reset_that_cannot_be_understood_is_passed_over() {
    for value in [
        "",
        "s",
        "6m0",
        "m",
        "-5",
        "6x",
        "1.2.3",
        ".",
        "2023-13-01T00:00:00Z",
        "2023-09-29 16:27",
        "2023-09-29T16:27:37",
        "2023/09/29T16:27:37Z",
        "2023-09-29T16:27:37+0200",
        "2023-09-29T16:27:37Zulu",
        "2023-09-2\u{e9}T16:27:37Z",
    ] {
        assert_eq!(dated("x-ratelimit-reset", value), NO_HINT, "{value:?}");
    }
    // A point in time is worth nothing while it is not known what time it is.
    assert_eq!(read(&[("x-ratelimit-reset", "1696004857")]), NO_HINT);
}

#[test]
fn only_limits_that_are_used_up_count_and_the_last_of_them_to_be_lifted() {
    let headers = [
        ("x-ratelimit-remaining-requests", "12"),
        ("x-ratelimit-reset-requests", "1h"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "2s"),
        ("x-ratelimit-reset-images", "1s"),
    ];
    assert_eq!(read(&headers), secs(2));
    let left = [
        ("anthropic-ratelimit-tokens-remaining", "1"),
        ("anthropic-ratelimit-tokens-reset", "9"),
    ];
    assert_eq!(read(&left), NO_HINT);
}

#[test]
fn retry_after_takes_precedence_over_rate_limits_even_when_it_is_zero() {
    let limit = ("x-ratelimit-reset", "60");
    assert_eq!(read(&[("retry-after", "3"), limit]), secs(3));
    assert_eq!(read(&[("retry-after", "0"), limit]), NO_HINT);
    assert_eq!(read(&[("retry-after", "junk"), limit]), GIVE_UP);
}

#[test]
fn reads_a_delay_from_the_body_of_an_error() {
    let read = |text| {
        let hint = RetryHint::from_delay(text);
        (hint.after(), hint.should_retry())
    };
    let exact = Duration::new(48, 939_935_699);
    assert_eq!(read("48.939935699s"), (Some(exact), None));
    assert_eq!(read("48.9399356990000000000000001s"), (Some(exact), None));
    assert_eq!(read("3s"), secs(3));
    assert_eq!(read("0s"), NO_HINT);
    assert_eq!(read("-3s"), GIVE_UP);
    assert_eq!(read("3"), GIVE_UP);
    assert_eq!(read(""), GIVE_UP);
    let longest = read(&format!("{}h", "9".repeat(400))).0.unwrap();
    assert_eq!(longest.as_secs(), 86_400 * 365 * 30);
}

#[cfg(feature = "grpc")]
#[test]
fn reads_the_pushback_of_grpc() {
    let read = |values: &[&'static str]| {
        let mut metadata = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_static(value);
            metadata.append("grpc-retry-pushback-ms", value);
        }
        let hint = RetryHint::from_grpc_metadata(&metadata);
        (hint.after(), hint.should_retry())
    };
    assert_eq!(read(&[]), NO_HINT);
    assert_eq!(read(&["5000"]), secs(5));
    assert_eq!(read(&["0"]), NO_HINT);
    assert_eq!(read(&["-1"]), GIVE_UP);
    assert_eq!(read(&["xxx"]), GIVE_UP);
    assert_eq!(read(&[""]), GIVE_UP);
    assert_eq!(read(&["1", "1"]), GIVE_UP);
}

#[test]
fn a_hint_is_put_on_a_fault_and_completed_by_another() {
    let headers = RetryHint::default();
    let hint = headers.or(RetryHint::from_delay("2s"));
    let fault = hint.apply(Fault::new(FaultKind::RateLimited));
    assert_eq!(fault.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(fault.should_retry(), None);
    let longer = RetryHint::from_delay("3s").or(RetryHint::from_delay("soon"));
    assert_eq!(longer.after(), Some(Duration::from_secs(3)));
    assert_eq!(longer.should_retry(), Some(false));
}

const NAMES: [&str; 9] = [
    "date",
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "anthropic-ratelimit-tokens-reset",
    "x-should-retry",
    "grpc-retry-pushback-ms",
];

proptest! {
    #[test]
    fn no_header_panics_or_means_at_once(
        headers in prop::collection::vec((0..NAMES.len(), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        now in prop::option::of(any::<u32>()),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                map.append(NAMES[*name], value);
            }
        }
        let now = now.map(|secs| UNIX_EPOCH + Duration::from_secs(secs.into()));
        let hint = RetryHint::from_headers_at(&map, now);
        prop_assert!(hint.after().is_none_or(|wait| !wait.is_zero()));
    }

    #[test]
    fn no_text_panics_however_close_it_is_to_a_date_or_a_duration(
        text in "[0-9TZtz:.+\\-hmsun\u{b5}, a-z]{0,40}",
        rfc3339 in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,30})?(Z|[+-][0-9]{2}:[0-9]{2})",
    ) {
        for text in [text, rfc3339] {
            for name in ["retry-after", "x-ratelimit-reset"] {
                let (after, _) = dated(name, &text);
                prop_assert!(after.is_none_or(|wait| !wait.is_zero()));
            }
            let _ = RetryHint::from_delay(&text);
        }
    }

    #[test]
    fn any_number_of_seconds_is_never_shortened(secs in any::<u64>()) {
        const LONGEST: u64 = 86_400 * 365 * 30;
        let hint = RetryHint::from_retry_after(&secs.to_string(), None);
        let expected = (secs > 0).then(|| Duration::from_secs(secs.min(LONGEST)));
        prop_assert_eq!(hint.after(), expected);
    }

    #[test]
    fn any_date_is_read_back(secs in 0u64..4_000_000_000) {
        let at: SystemTime = UNIX_EPOCH + Duration::from_secs(secs);
        let date = httpdate::fmt_http_date(at);
        let hint = RetryHint::from_retry_after(&date, Some(UNIX_EPOCH));
        let expected = (secs > 0).then(|| Duration::from_secs(secs.min(86_400 * 365 * 30)));
        prop_assert_eq!(hint.after(), expected);
    }
}
