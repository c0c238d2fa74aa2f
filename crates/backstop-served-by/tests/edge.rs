//! Who answered, in the headers of an HTTP response.
#![cfg(feature = "http")]

use std::time::Duration;

use backstop_core::{AbsorbLayer, Attempt, BoxError, Fault, FaultKind, Trail, context};
use backstop_served_by::{EdgeLayer, ServedBy, ServedByLayer, edge};
use http::{Request, Response};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, ServiceBuilder, ServiceExt, layer::util::Identity, service_fn};
use tower_test::mock;

fn failed(kind: FaultKind) -> Attempt {
    Attempt::new(1, Fault::new(kind))
        .took(Duration::from_millis(212))
        .on("a".into())
}

fn trail(attempts: impl IntoIterator<Item = Attempt>) -> Trail {
    let mut trail = Trail::new();
    attempts.into_iter().for_each(|attempt| trail.push(attempt));
    trail
}

#[tokio::test]
async fn writes_only_who_answered_where_nothing_failed() {
    let service = ServiceBuilder::new()
        .layer(EdgeLayer::new())
        .layer(ServedByLayer::new("anthropic:claude-opus-4-8"))
        .service(service_fn(|_: Request<()>| async {
            Ok::<_, BoxError>(Response::new(()))
        }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers().len(), 1);
    assert_eq!(
        response.headers()["x-served-by"],
        "anthropic:claude-opus-4-8"
    );
    assert!(response.extensions().get::<ServedBy>().is_some());
}

#[tokio::test]
async fn says_it_before_the_first_byte_of_a_stream() {
    /// A body that nobody has read from.
    struct Unread;
    let service = ServiceBuilder::new()
        .layer(EdgeLayer::new())
        .layer(ServedByLayer::new("a"))
        .service(service_fn(|_: Request<()>| async {
            Ok::<_, BoxError>(Response::new(Unread))
        }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["x-served-by"], "a");
}

#[tokio::test]
async fn writes_what_failed_on_the_way_and_how_long_that_took() {
    let service = service_fn(|_: Request<()>| async {
        let overloaded = Fault::new(FaultKind::Overloaded).with_status(529);
        context::record(failed(FaultKind::Connect));
        context::record(Attempt::new(2, overloaded).took(Duration::from_micros(1500)));
        let refused = Fault::new(FaultKind::Refused).because("circuit open");
        let wait = Duration::from_secs(41);
        context::record(Attempt::passed_over(refused.with_retry_after(wait)).on("c".into()));
        let mut response = Response::new(());
        response
            .headers_mut()
            .insert("proxy-status", "further; error=dns_error".parse().unwrap());
        response
            .headers_mut()
            .insert("x-served-by", "cache-fra-1".parse().unwrap());
        Ok::<_, BoxError>(response)
    });
    let service = ServiceBuilder::new()
        .layer(EdgeLayer::new())
        .layer(ServedByLayer::new("b").degraded())
        .service(service);
    let response = service.oneshot(Request::new(())).await.unwrap();
    let headers = response.headers();
    assert_eq!(headers["x-served-by"], "b");
    assert_eq!(headers["x-degraded"], "true");
    let statuses: Vec<_> = headers.get_all("proxy-status").iter().collect();
    assert_eq!(
        statuses,
        [
            "further; error=dns_error",
            "backstop; error=destination_unavailable; next-hop=\"a\"; \
             details=\"no connection after 212 ms\", \
             backstop; error=destination_unavailable; next-hop=\"b\"; received-status=529; \
             details=\"529 overloaded after 1 ms\", \
             backstop; error=destination_unavailable; next-hop=\"c\"; \
             details=\"circuit open, retry in 41 s\"",
        ]
    );
    assert_eq!(
        headers["server-timing"],
        "attempt1;desc=\"a\";dur=212.0, attempt2;desc=\"b\";dur=1.5, \
         attempt3;desc=\"c\";dur=0.0"
    );
}

#[tokio::test]
async fn writes_what_failed_after_the_stamp_was_put_on_too() {
    let inner = ServedByLayer::new("a").layer(service_fn(|_: Request<()>| async {
        Ok::<_, BoxError>(Response::new(()))
    }));
    let raced = service_fn(|request: Request<()>| async {
        let response = inner.clone().oneshot(request).await;
        context::record(failed(FaultKind::TimedOut));
        response
    });
    let service = EdgeLayer::new().layer(raced);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["x-served-by"], "a");
    let status = response.headers()["proxy-status"].to_str().unwrap();
    assert!(status.contains("http_response_timeout"), "{status}");
}

#[tokio::test]
async fn the_edge_is_ready_when_the_service_is() {
    let (service, mut handle) = mock::pair::<Request<()>, Response<()>>();
    handle.allow(0);
    let mut service = EdgeLayer::new().layer(service);
    let mut ready = task::spawn(service.ready());
    assert_pending!(ready.poll());
    handle.allow(1);
    assert_ready_ok!(ready.poll());
}

#[tokio::test]
async fn knows_what_failed_where_the_error_became_a_response() {
    let service =
        service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(Response::new(())) });
    let fails = tower::layer::layer_fn(|_| {
        service_fn(|_: Request<()>| async {
            context::record(failed(FaultKind::TimedOut));
            Err::<Response<()>, BoxError>("all candidates failed".into())
        })
    });
    let layers = (fails, Identity::new());
    let absorb = AbsorbLayer::new(layers, |_: BoxError| Response::new(()));
    let service = EdgeLayer::new().layer(absorb.layer(service));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert!(!response.headers().contains_key("x-served-by"));
    assert_eq!(
        response.headers()["proxy-status"],
        "backstop; error=http_response_timeout; next-hop=\"a\"; details=\"timed out after 212 ms\""
    );
}

/// The error types of RFC 9209, section 2.3.
const ERROR_TYPES: [&str; 32] = [
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "tls_alert_received",
    "http_request_error",
    "http_request_denied",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_response_header_size",
    "http_response_body_size",
    "http_response_trailer_section_size",
    "http_response_trailer_size",
    "http_response_transfer_coding",
    "http_response_content_coding",
    "http_response_timeout",
    "http_upgrade_failed",
    "http_protocol_error",
    "proxy_internal_response",
    "proxy_internal_error",
    "proxy_configuration_error",
    "proxy_loop_detected",
];

#[test]
fn has_a_word_of_the_standard_for_every_kind_of_failure() {
    for kind in FaultKind::ALL {
        let value = edge::proxy_status(&trail([failed(kind)])).unwrap();
        let text = value.to_str().unwrap();
        let error = text
            .split("error=")
            .nth(1)
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        assert!(ERROR_TYPES.contains(&error), "{kind:?}: {error}");
    }
}

#[test]
fn says_of_a_failure_whose_it_was() {
    for (kind, error) in [
        (FaultKind::Connect, "destination_unavailable"),
        (FaultKind::Denied, "proxy_configuration_error"),
        (FaultKind::Missing, "proxy_configuration_error"),
        (FaultKind::TooLarge, "http_request_error"),
        (FaultKind::Interrupted, "http_response_incomplete"),
        (FaultKind::Malformed, "http_protocol_error"),
        (FaultKind::TimedOut, "http_response_timeout"),
    ] {
        let value = edge::proxy_status(&trail([failed(kind)])).unwrap();
        let expected = format!("backstop; error={error};");
        assert!(value.to_str().unwrap().starts_with(&expected), "{value:?}");
    }
}

#[test]
fn writes_a_time_too_short_for_a_millisecond_in_ascii() {
    let attempt = Attempt::new(1, FaultKind::Connect.into()).took(Duration::from_micros(390));
    let value = edge::proxy_status(&trail([attempt])).unwrap();
    assert!(value.to_str().unwrap().ends_with("after 390 us\""));
}

#[test]
fn writes_no_grpc_code_as_an_http_status() {
    let attempt = Attempt::new(1, Fault::new(FaultKind::Unavailable).with_status(14));
    let value = edge::proxy_status(&trail([attempt])).unwrap();
    assert!(!value.to_str().unwrap().contains("received-status"));
}

#[test]
fn a_name_can_neither_break_out_of_a_header_nor_fill_it() {
    let hostile = format!("a\"; b=\\\r\nset-cookie: x\u{0}é{}", "x".repeat(10_000));
    let stamp = ServedBy::new(hostile.as_str().into());
    let value = edge::served_by(&stamp);
    assert!(
        value
            .to_str()
            .unwrap()
            .starts_with("a\"; b=\\??set-cookie: x??xxx")
    );
    assert!(value.len() <= 256);

    let trail = trail((0..100).map(|_| failed(FaultKind::Connect).on(hostile.as_str().into())));
    let value = edge::proxy_status(&trail).unwrap();
    let text = value.to_str().unwrap();
    assert!(
        text.contains("next-hop=\"a\\\"; b=\\\\??set-cookie"),
        "{text}"
    );
    assert!(text.len() < 32 * 512);
    assert_eq!(text.matches("backstop; error").count(), Trail::LIMIT);
}

#[test]
fn a_short_name_can_not_break_out_of_a_header_either() {
    for (name, plain, quoted) in [
        ("a b~", "a b~", r#""a b~""#),
        ("\"", "\"", r#""\"""#),
        ("\\", "\\", r#""\\""#),
        ("a\r\nb: c", "a??b: c", r#""a??b: c""#),
        ("\u{7f}é", "??", r#""??""#),
    ] {
        assert_eq!(edge::served_by(&ServedBy::new(name.into())), plain);
        let trail = trail([failed(FaultKind::Connect).on(name.into())]);
        let value = edge::proxy_status(&trail).unwrap();
        let text = value.to_str().unwrap();
        assert!(text.contains(&format!("next-hop={quoted};")), "{text}");
    }
}

#[test]
fn neither_one_long_name_nor_many_short_ones_fill_a_header() {
    let long = ServedBy::new("x".repeat(10_000).into());
    assert_eq!(edge::served_by(&long).len(), 256);
    let mut many = ServedBy::new("a".into());
    many.continued_by = vec!["b".into(); 1_000];
    assert_eq!(edge::served_by(&many).len(), 256);
}

#[test]
fn nothing_failed_nothing_is_written() {
    assert_eq!(edge::proxy_status(&Trail::new()), None);
    assert_eq!(edge::server_timing(&Trail::new()), None);
}

#[test]
fn names_all_who_had_a_part_in_a_continued_answer() {
    let mut stamp = ServedBy::new("a".into());
    stamp.continued_by.push("b".into());
    assert_eq!(edge::served_by(&stamp), "a, b");
}

#[test]
fn says_how_old_a_kept_answer_is() {
    let mut stamp = ServedBy::new("cache".into()).degraded();
    stamp.age = Some(Duration::from_millis(61_900));
    let mut headers = http::HeaderMap::new();
    edge::write(&mut headers, &stamp);
    assert_eq!(headers["age"], "61");
    assert_eq!(headers["x-degraded"], "true");
}
