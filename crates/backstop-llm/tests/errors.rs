//! What a provider's errors mean, and what a caller is told of them.

use std::time::Duration;

use backstop_core::{Attempt, Exhausted, Fault, FaultKind, Open, Reason, Trail};
use backstop_llm::{Dialect, Error, sse::SseParser};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

fn read(dialect: Dialect, status: u16, body: &str) -> Error {
    let status = StatusCode::from_u16(status).expect("a status");
    dialect
        .wire()
        .error(status, &HeaderMap::new(), body.as_bytes())
}

#[test]
fn openai_compatible_errors_mean_what_they_say() {
    use FaultKind::{
        Denied, Filtered, Invalid, Malformed, Missing, Overloaded, QuotaExhausted, RateLimited,
        TimedOut, TooLarge, Unavailable,
    };
    for (kind, status, body) in [
        (
            Invalid,
            400,
            r#"{"error":{"message":"bad","type":"invalid_request_error"}}"#,
        ),
        (
            TooLarge,
            400,
            r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#,
        ),
        (
            TooLarge,
            400,
            r#"{"object":"error","message":"This model's maximum context length is 512 tokens. However","type":"BadRequestError","code":400}"#,
        ),
        (
            TooLarge,
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
        ),
        (
            TooLarge,
            400,
            r#"{"error":{"message":"prompt too long; exceeded max context length by 9 tokens"}}"#,
        ),
        (
            TooLarge,
            413,
            "Failed to buffer the request body: length limit exceeded",
        ),
        (
            Filtered,
            400,
            r#"{"error":{"code":"content_filter","param":"prompt","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        ),
        (Denied, 401, r#"{"error":"Unauthorized"}"#),
        (
            Denied,
            400,
            r#"{"code":"invalid-argument","error":"Incorrect API key provided"}"#,
        ),
        (Denied, 403, "<html>"),
        (
            QuotaExhausted,
            402,
            r#"{"error":{"message":"Insufficient Balance"}}"#,
        ),
        (
            QuotaExhausted,
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        ),
        (Missing, 404, r#"{"detail":"Not Found"}"#),
        (
            Missing,
            400,
            r#"{"error":{"message":"x is not a valid model ID","code":400}}"#,
        ),
        (
            Missing,
            400,
            r#"{"error":{"message":"gone","code":"model_not_found"}}"#,
        ),
        (TimedOut, 408, "upstream request timeout"),
        (Unavailable, 409, "{}"),
        (
            RateLimited,
            429,
            r#"{"message":"slow","type":"too_many_requests_error","code":"request_quota_exceeded"}"#,
        ),
        (Unavailable, 500, ""),
        (
            Overloaded,
            503,
            r#"{"error":{"message":"The model is overloaded. Try later."}}"#,
        ),
        (
            Unavailable,
            503,
            r#"{"error":{"message":"Loading model","code":503}}"#,
        ),
        (Overloaded, 529, "[]"),
        (
            Malformed,
            400,
            r#"{"error":{"message":"Failed to call a function","code":"tool_use_failed"}}"#,
        ),
        (
            Invalid,
            422,
            r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
        ),
        (Invalid, 501, r#"{"error":{"type":"not_supported_error"}}"#),
    ] {
        let error = read(Dialect::OpenAi, status, body);
        assert_eq!(error.fault().kind(), kind, "{status} {body}");
        assert_eq!(error.fault().status(), Some(status));
    }
}

#[test]
fn errors_of_compatible_servers_are_read_in_all_their_shapes() {
    for (kind, status, body) in [
        (
            FaultKind::TooLarge,
            400,
            r#"{"errors":[{"code":"invalid","message":"input tokens cannot exceed the total tokens limit 4096"}],"trace":"t"}"#,
        ),
        (
            FaultKind::Missing,
            400,
            r#"{"success":false,"errors":[{"message":"No such model @cf/x","code":5007}]}"#,
        ),
        (
            FaultKind::TooLarge,
            400,
            r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"message\":\"prompt is too long\"}"}}}"#,
        ),
        (
            FaultKind::Filtered,
            400,
            r#"{"error":{"message":"no","code":"content_filter","innererror":"said why"}}"#,
        ),
        (
            FaultKind::Overloaded,
            429,
            r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
        ),
        (
            FaultKind::QuotaExhausted,
            400,
            r#"{"error":{"code":"Arrearage","type":"Arrearage","message":"Access denied"}}"#,
        ),
        (
            FaultKind::Filtered,
            403,
            r#"{"code":"denied","error":"Content violates usage guidelines."}"#,
        ),
    ] {
        let error = read(Dialect::OpenAi, status, body);
        assert_eq!(error.fault().kind(), kind, "{status} {body}");
    }
    let said = |body: &str| read(Dialect::OpenAi, 400, body).message().to_owned();
    assert_eq!(said("\"Invalid token\""), "Invalid token");
    assert_eq!(said(r#"{"error_code":"X","msg":"busy"}"#), "busy");
    assert_eq!(said(r#"{"error":["this","that"]}"#), "this");
}

#[test]
fn anthropic_errors_mean_what_they_say() {
    use FaultKind::{
        Denied, Invalid, Missing, Overloaded, QuotaExhausted, RateLimited, TooLarge, Unavailable,
    };
    for (kind, status, name, message) in [
        (
            Invalid,
            400,
            "invalid_request_error",
            "max_tokens: required",
        ),
        (
            TooLarge,
            400,
            "invalid_request_error",
            "prompt is too long: 200021 tokens > 200000 maximum",
        ),
        (
            QuotaExhausted,
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the API.",
        ),
        (Denied, 401, "authentication_error", "invalid x-api-key"),
        (QuotaExhausted, 402, "billing_error", "pay"),
        (Denied, 403, "permission_error", "no"),
        (Missing, 404, "not_found_error", "model: claude-9"),
        (TooLarge, 413, "request_too_large", "too large"),
        (RateLimited, 429, "rate_limit_error", "slow down"),
        (Unavailable, 500, "api_error", "Internal server error"),
        (Unavailable, 504, "timeout_error", "timeout"),
        (Overloaded, 529, "overloaded_error", "Overloaded"),
    ] {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"{name}","message":"{message}"}},"request_id":"r"}}"#
        );
        let error = read(Dialect::Anthropic, status, &body);
        assert_eq!(error.fault().kind(), kind, "{status} {name} {message}");
        assert_eq!(error.message(), message);
        assert_eq!(error.request_id(), Some("r"));
    }
}

#[test]
fn a_request_that_can_never_pass_is_not_to_be_tried_again() {
    let body = r#"{"error":{"message":"Request too large for gpt on tokens per min (TPM)","code":"rate_limit_exceeded"}}"#;
    assert_eq!(
        read(Dialect::OpenAi, 429, body).fault().should_retry(),
        Some(false)
    );
}

#[test]
fn a_caller_is_never_told_of_our_key() {
    for dialect in Dialect::ALL {
        let error = read(
            dialect,
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijkl","type":"x"}}"#,
        );
        let body = dialect.front().error(&error);
        let told = String::from_utf8_lossy(&body);
        assert_eq!(error.caller_status(), 503);
        assert!(!told.contains("API key") && !told.contains("sk-"), "{told}");
        assert!(!error.may_pass(), "another try is of no use");
    }
}

#[test]
fn statuses_for_callers_are_those_of_the_table() {
    use FaultKind::{
        Connect, Denied, Filtered, Interrupted, Invalid, Malformed, Missing, Overloaded,
        QuotaExhausted, RateLimited, Refused, TimedOut, TooLarge, Unavailable,
    };
    for (kind, status) in [
        (Connect, 502),
        (Unavailable, 502),
        (Overloaded, 503),
        (TimedOut, 504),
        (RateLimited, 429),
        (QuotaExhausted, 503),
        (Denied, 503),
        (Missing, 502),
        (TooLarge, 400),
        (Filtered, 400),
        (Invalid, 400),
        (Malformed, 502),
        (Refused, 503),
        (Interrupted, 502),
    ] {
        assert_eq!(Error::new(kind, "x").caller_status(), status, "{kind}");
    }
    let own = Fault::new(Invalid).with_status(422);
    assert_eq!(
        Error::new(own, "x").caller_status(),
        422,
        "the provider's own"
    );
}

#[test]
fn what_minimax_tells_of_under_a_good_status_is_the_failure_that_it_says() {
    use FaultKind::{
        Denied, Filtered, Invalid, Malformed, QuotaExhausted, RateLimited, TooLarge, Unavailable,
    };
    for (kind, code, message) in [
        (Unavailable, 1000, "unknown error"),
        (RateLimited, 1002, "rate limit"),
        (Denied, 1004, "login fail: Please carry the API secret key"),
        (QuotaExhausted, 1008, "insufficient balance"),
        (Unavailable, 1013, ""),
        (Filtered, 1026, "input new_sensitive"),
        (Filtered, 1027, "output new_sensitive"),
        (RateLimited, 1039, "token limit"),
        (Invalid, 2013, "invalid params"),
        (
            TooLarge,
            2013,
            "invalid params, context window exceeds limit",
        ),
        (Malformed, 9999, "news"),
    ] {
        let told = format!(r#""base_resp":{{"status_code":{code},"status_msg":"{message}"}}"#);
        let wire = Dialect::OpenAi.wire();
        let plain = wire.decode(format!(r#"{{"id":"x","choices":null,{told}}}"#).as_bytes());
        let event = format!("data: {{\"choices\":[],{told}}}\n\n");
        let mut parser = SseParser::new();
        parser.push(event.as_bytes());
        let event = parser
            .next_event()
            .expect("it is small")
            .expect("it is whole");
        let streamed = wire.decoder().event(&event, &mut Vec::new());
        for error in [plain.err(), streamed.err()] {
            let error = error.unwrap_or_else(|| panic!("{code} is an error"));
            assert_eq!(error.fault().kind(), kind, "{code}");
            assert_eq!(error.code(), Some(&*code.to_string()));
            assert!(error.message().contains(message), "{error}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told_by_where_it_is() {
    let user = r#"{"role":"user","content":"hi"}"#;
    for (dialect, field, value, told) in [
        (
            Dialect::OpenAi,
            "messages",
            r#"{"content":"hi"}"#,
            "Missing required parameter: 'messages[1].role'.",
        ),
        (
            Dialect::OpenAi,
            "messages",
            r#"{"role":"bard","content":"hi"}"#,
            "messages[1].role: unknown role 'bard'",
        ),
        (
            Dialect::OpenAi,
            "messages",
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":5}]}"#,
            "Invalid type for 'messages[1].content[1].text': expected a string, but got an integer \
             instead.",
        ),
        (
            Dialect::Anthropic,
            "messages",
            r#"{"role":"bard","content":"hi"}"#,
            "messages.1.role: unknown role 'bard'",
        ),
        (
            Dialect::Anthropic,
            "messages",
            r#"{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":[]}]}]}"#,
            "messages.1.content.0.content.0.text: Input should be a string, but is an array",
        ),
        (
            Dialect::Responses,
            "input",
            r#"{"role":"user","content":[{"type":"input_text","text":false}]}"#,
            "Invalid type for 'input[1].content[0].text': expected a string, but got a boolean \
             instead.",
        ),
        (
            Dialect::Responses,
            "input",
            r#"{"type":"function_call_output","call_id":"a","output":[{"text":1}]}"#,
            "Invalid type for 'input[1].output[0].text': expected a string, but got an integer \
             instead.",
        ),
    ] {
        let body = format!(r#"{{"model":"m","max_tokens":5,"{field}":[{user},{value}]}}"#);
        let error = dialect.front().parse(body.into()).err();
        let error = error.unwrap_or_else(|| panic!("{value} is right"));
        assert_eq!(error.message(), told);
        let param = error.param().expect("a field is to blame");
        assert!(told.contains(param), "{param}");
        assert_eq!(error.caller_status(), 400);
    }
}

#[test]
fn an_exhausted_chain_tells_every_attempt_and_keeps_the_last_error() {
    let mut trail = Trail::new();
    let overloaded = Fault::new(FaultKind::Overloaded).with_status(529);
    trail.push(
        Attempt::new(1, overloaded)
            .on("a".into())
            .took(Duration::from_millis(212)),
    );
    let open = Open::new("b".into(), Reason::Open, Some(Duration::from_secs(41)));
    trail.push(Attempt::passed_over(open.fault()).on("b".into()));
    let error = Error::from(Exhausted::new(
        trail,
        open.fault(),
        Error::from(open).into(),
    ));
    assert_eq!(error.trail().map(|trail| trail.attempts().len()), Some(2));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(41)));
    assert_eq!(error.root().fault().reason(), Some("circuit open"));
    let source = std::error::Error::source(&error).expect("the chain's own error");
    assert!(source.source().is_some_and(|last| last.is::<Error>()));
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let body: Value = serde_json::from_slice(&dialect.front().error(&error)).expect("JSON");
        let message = body["error"]["message"].as_str().expect("a message");
        assert!(
            message.contains("a 529") && message.contains("b circuit open"),
            "{message}"
        );
        let told = body["error"].get("attempts").unwrap_or(&body["attempts"]);
        assert_eq!(told[0]["fault"], "overloaded");
        assert_eq!(told[0]["ms"], 212);
    }
}

#[test]
fn no_field_of_a_providers_error_tells_a_key_or_an_address() {
    let told = "sk-abcdefghijklmnop at 10.9.8.7";
    let body = format!(
        r#"{{"error":{{"message":"{told}","type":"{told}","code":"{told}","param":"{told}"}}}}"#
    );
    for status in [400, 401, 404, 500] {
        let error = read(Dialect::OpenAi, status, &body);
        let clean = Some("[key] at [address]");
        assert_eq!(
            [error.kind(), error.code(), error.param()],
            [clean; 3],
            "{status}"
        );
        for dialect in Dialect::ALL {
            let body = dialect.front().error(&error);
            let body = String::from_utf8_lossy(&body);
            assert!(!body.contains("sk-") && !body.contains("10.9"), "{body}");
        }
    }
}
