//! What callers may send, and what they are told.

mod common;

use std::net::SocketAddr;

use backstop_gateway::{config::Config, server::Stopped};
use backstop_simulator::{Fault, Pace};
use common::{Answer, BACKUP, PRIMARY, Setup, hello};
use serde_json::{Value, json};

async fn refused(setup: &Setup, body: Vec<u8>) -> Answer {
    let request = setup
        .gateway
        .client
        .post(setup.gateway.url("/v1/chat/completions"))
        .body(body);
    let answer = Answer::read(request.send().await.expect("an answer comes")).await;
    assert_eq!(setup.primary.count() + setup.backup.count(), 0);
    let error = &answer.json()["error"];
    for field in ["message", "type", "param", "code"] {
        assert!(error.get(field).is_some(), "{field} is missing in {error}");
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer
}

#[tokio::test]
async fn what_is_no_request_is_refused_without_a_call() {
    let setup = Setup::new().await;
    let answer = refused(&setup, b"not json".to_vec()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let answer = refused(&setup, json!({ "model": "smart" }).to_string().into()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("messages"), "{}", answer.body);
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let setup = Setup::new().await;
    let mut body = hello();
    body["model"] = "dumb".into();
    let answer = refused(&setup, body.to_string().into()).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert_eq!(answer.json()["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_too_large() {
    let setup = Setup::configured("", "[limits]\nbody = \"1KiB\"").await;
    let mut body = hello();
    body["messages"][0]["content"] = "x".repeat(2_000).into();
    let answer = refused(&setup, body.to_string().into()).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
}

#[tokio::test]
async fn a_compressed_request_is_told_that_it_can_not_be_read() {
    let setup = Setup::new().await;
    for (encoding, body, status) in [
        ("gzip", "\u{1f}\u{8b}".to_owned(), 415),
        ("identity", "{".to_owned(), 400),
        ("identity", hello().to_string(), 200),
    ] {
        let request = setup
            .gateway
            .client
            .post(setup.gateway.url("/v1/chat/completions"));
        let request = request.header("content-encoding", encoding).body(body);
        let answer = request.timeout(common::BOUND).send().await;
        let answer = Answer::read(answer.expect("an answer comes")).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test]
async fn lists_models_in_both_styles() {
    let setup = Setup::new().await;
    let list: Value = get(&setup, "/v1/models", None).await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], "smart");
    assert_eq!(list["data"][0]["object"], "model");
    let list: Value = get(&setup, "/v1/models", Some("2023-06-01")).await.json();
    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!(list["has_more"], false);
}

#[tokio::test]
async fn lists_what_the_candidates_are_called_where_any_name_is_taken() {
    let any = r#"
        [models."*"]
        candidates = ["openai:gpt-5.5", "openai:smart", { reply = "We are away." }]
    "#;
    let setup = Setup::configured("", any).await;
    for version in [None, Some("2023-06-01")] {
        let list: Value = get(&setup, "/v1/models", version).await.json();
        let models = list["data"].as_array().expect("a list");
        let names: Vec<_> = models.iter().map(|model| &model["id"]).collect();
        assert_eq!(names, ["gpt-5.5", "smart"]);
    }
}

#[tokio::test]
async fn tells_of_one_model_too() {
    let setup = Setup::new().await;
    let none = get(&setup, "/v1/models/none", None).await;
    assert_eq!(none.status, 404, "{}", none.body);
    assert_eq!(none.json()["error"]["code"], "model_not_found");
    let any = "[models.\"*\"]\ncandidates = [\"openai:gpt-5.5\"]\n";
    let setup = Setup::configured("", any).await;
    for name in ["smart", "vendor/any"] {
        let path = format!("/v1/models/{name}");
        let told = get(&setup, &path, None).await.json();
        assert_eq!(
            (&told["id"], &told["object"]),
            (&name.into(), &"model".into())
        );
        let told = get(&setup, &path, Some("2023-06-01")).await.json();
        assert_eq!(
            (&told["id"], &told["type"]),
            (&name.into(), &"model".into())
        );
    }
    assert_eq!(get(&setup, "/v1/models/*", None).await.status, 404);
}

async fn get(setup: &Setup, path: &str, anthropic_version: Option<&str>) -> Answer {
    let mut request = setup.gateway.get(path);
    if let Some(version) = anthropic_version {
        request = request.header("anthropic-version", version);
    }
    Answer::read(request.send().await.expect("an answer comes")).await
}

#[tokio::test]
async fn says_that_it_is_well() {
    let setup = Setup::new().await;
    assert_eq!(get(&setup, "/healthz", None).await.status, 200);
    let nothing = get(&setup, "/v1/nothing", None).await;
    assert_eq!(nothing.status, 404);
    assert!(nothing.json()["error"]["message"].is_string());
}

#[tokio::test]
async fn a_path_that_is_asked_in_the_wrong_way_says_how_it_is_asked() {
    let setup = Setup::new().await;
    for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses"] {
        let answer = get(&setup, path, None).await;
        assert_eq!(answer.status, 405, "{path}: {}", answer.body);
        assert_eq!(answer.header("allow"), Some("POST"));
        assert_eq!(answer.json()["error"]["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn a_base_url_that_is_not_quite_right_is_told_what_it_should_lead_to() {
    let setup = Setup::new().await;
    for (path, meant) in [
        ("/chat/completions", Some("/v1/chat/completions")),
        ("/v1/v1/messages", Some("/v1/messages")),
        ("/v1/responses/", Some("/v1/responses")),
        ("/v1/embeddings", None),
    ] {
        let answer = setup.gateway.post(path, &hello()).send().await;
        let answer = Answer::read(answer.expect("an answer comes")).await;
        assert_eq!(answer.status, 404);
        let told = meant.map(|meant| format!("POST {path}. Was {meant} meant?"));
        let told = told.unwrap_or_else(|| format!("POST {path}.\""));
        assert!(answer.body.contains(&told), "{}", answer.body);
    }
}

#[tokio::test]
async fn every_answer_has_an_id() {
    let setup = Setup::new().await;
    let own = setup
        .gateway
        .post("/v1/chat/completions", &hello())
        .header("x-request-id", "my-own-id");
    let answer = Answer::read(own.send().await.expect("an answer comes")).await;
    assert_eq!(answer.header("x-request-id"), Some("my-own-id"));
    let answer = setup.gateway.answer().await;
    assert!(
        answer
            .header("x-request-id")
            .is_some_and(|id| id.starts_with("req_"))
    );
    for path in ["/v1/models", "/nothing/here", "/v1/chat/completions"] {
        let answer = setup.gateway.get(path).send().await;
        let answer = Answer::read(answer.expect("an answer comes")).await;
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
}

#[tokio::test]
async fn speaks_anthropics_language_too() {
    let setup = Setup::new().await;
    let mut body = hello();
    body["max_tokens"] = 100.into();
    for (fault, text, served_by) in [
        (None, PRIMARY, "anthropic:claude-opus-4-8"),
        (Some(Fault::overloaded()), BACKUP, "openai:gpt-5.5"),
    ] {
        if let Some(fault) = fault {
            setup.fault(fault);
        }
        let request = setup.gateway.post("/v1/messages", &body);
        let answer = Answer::read(request.send().await.expect("an answer comes")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["type"], "message");
        assert_eq!(answer.json()["content"][0]["text"], text);
        assert_eq!(answer.served_by(), served_by);

        let mut streamed = body.clone();
        streamed["stream"] = true.into();
        let request = setup.gateway.post("/v1/messages", &streamed);
        let answer = Answer::read(request.send().await.expect("an answer comes")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("message_stop"), "{}", answer.body);
    }
    let nonsense = setup
        .gateway
        .post("/v1/messages", &json!({ "model": "smart" }));
    let answer = Answer::read(nonsense.send().await.expect("an answer comes")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["type"], "error");
}

#[tokio::test]
async fn a_stream_that_is_running_may_finish_when_told_to_stop() {
    let mut setup = Setup::new().await;
    let slow = backstop_simulator::Simulator::builder(backstop_simulator::Dialect::Anthropic)
        .pace(Pace::new(
            std::time::Duration::from_millis(5),
            std::time::Duration::from_millis(20),
        ))
        .reply(backstop_simulator::Reply::text(PRIMARY))
        .start()
        .await
        .expect("a port is free");
    setup.gateway = common::Running::start(&common::toml(&slow, &setup.backup, "", "")).await;
    let response = setup.gateway.chat(common::hello_streamed()).await;
    setup.gateway.begin_to_stop();
    let answer = Answer::read(response).await;
    assert_eq!(answer.text(), PRIMARY);
    assert!(answer.is_done());
    assert_eq!(setup.gateway.stop().await, Stopped::Finished);
}

#[tokio::test]
async fn a_stream_that_takes_too_long_to_finish_ends_with_an_error() {
    let mut setup = Setup::configured(
        "timeout = { idle = \"60s\" }",
        "[limits]\nshutdown = \"100ms\"",
    )
    .await;
    setup.fault(Fault::stall(2));
    let response = setup.gateway.chat(common::hello_streamed()).await;
    setup.gateway.begin_to_stop();
    let answer = Answer::read(response).await;
    assert!(!answer.is_done());
    let error = answer.stream_error().expect("tells of the end");
    assert!(error.to_string().contains("stopping"), "{error}");
    assert_eq!(setup.gateway.stop().await, Stopped::Cut);
}

/// What a new caller hears who trusts this certificate and no other.
async fn trusting(certificate: &str, address: SocketAddr) -> reqwest::Response {
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).expect("is one");
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve("localhost", address)
        .build()
        .expect("can be made");
    let url = format!("https://localhost:{}/healthz", address.port());
    client.get(url).send().await.expect("an answer comes")
}

#[tokio::test]
async fn speaks_tls_where_there_is_a_certificate() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("is made");
    let directory = tempfile::tempdir().expect("can be made");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("cert.pem"), own.cert.pem()).expect("can be written");
    std::fs::write(path("key.pem"), own.signing_key.serialize_pem()).expect("can be written");
    let tls = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        path("cert.pem").display(),
        path("key.pem").display(),
    );
    let setup = Setup::configured("", &tls).await;
    let answer = trusting(&own.cert.pem(), setup.gateway.address).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let plain = setup.gateway.get("/healthz").send().await;
    assert!(plain.is_err(), "nothing is said in the clear");

    // A certificate that was renewed is shown from the next connection on.
    let new = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("is made");
    std::fs::write(path("cert.pem"), new.cert.pem()).expect("can be written");
    let toml = common::toml(&setup.primary, &setup.backup, "", &tls);
    let config = || Config::parse("test.toml", &toml, &|_| Some("sk-secret-key".to_owned()));
    let half = setup.gateway.gateway.reload(config());
    let why = half
        .expect_err("the key is still the old one's")
        .to_string();
    let files = (path("key.pem"), path("cert.pem"));
    let told = format!(
        "{}: not the key of {}",
        files.0.display(),
        files.1.display()
    );
    assert_eq!(why, told);
    std::fs::write(path("key.pem"), new.signing_key.serialize_pem()).expect("can be written");
    setup.gateway.gateway.reload(config()).expect("they fit");
    let answer = trusting(&new.cert.pem(), setup.gateway.address).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_callers_trace_goes_on_at_the_provider_where_no_spans_are_sent() {
    let setup = Setup::new().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = setup.gateway.post("/v1/chat/completions", &hello());
    let request = request.header("traceparent", traceparent);
    request.send().await.expect("an answer comes");
    assert_eq!(
        setup.primary.calls()[0].header("traceparent"),
        Some(traceparent)
    );
}
