//! What the gateway says of who would be asked now, and why.

mod common;

use std::time::Duration;

use backstop_simulator::Fault;
use common::Setup;
use reqwest::Method;
use serde_json::{Value, json};

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

#[tokio::test]
async fn explains_who_would_be_asked_and_why() {
    let setup = Setup::with("breaker = { failures = 1, open_for = \"60s\" }").await;
    setup.fault(Fault::unavailable());
    setup.gateway.answer().await;
    let explained = setup
        .admin(Method::GET, "/admin/explain?model=smart", Value::Null)
        .await;
    let candidates = &explained.json()["candidates"];
    assert_eq!(candidates[0]["candidate"], PRIMARY);
    assert_eq!(candidates[0]["asked"], false);
    let why = candidates[0]["why"].as_str().expect("is text");
    assert!(why.starts_with("circuit open, retry in"), "{why}");
    assert_eq!(candidates[1]["why"], "asked first");
    let unknown = setup
        .admin(Method::GET, "/admin/explain?model=none", Value::Null)
        .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn explains_what_a_request_with_wishes_would_meet() {
    let prices = "[prices]\n\"openai:gpt-5.5\" = { input = 1.0, output = 4.0 }\n\
                  \"anthropic:claude-opus-4-8\" = { input = 5.0, output = 25.0 }\n";
    let setup = Setup::configured("order = \"price\"", prices).await;
    let why = async |wishes: Value| {
        let mut request = common::hello();
        for (name, value) in wishes.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        let explained = setup.admin(Method::POST, "/admin/explain", request).await;
        let steps = explained.json()["candidates"].clone();
        let of = |place: usize| {
            let text = |name: &str| steps[place][name].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("candidate"), text("why"))
        };
        [of(0), of(1)]
    };
    assert_eq!(
        why(json!({})).await,
        [
            format!("{BACKUP}: asked first, as the cheapest"),
            format!("{PRIMARY}: asked if all before it fail"),
        ]
    );
    assert_eq!(
        why(json!({ "provider": { "order": ["anthropic"] } })).await,
        [
            format!("{PRIMARY}: asked first"),
            format!("{BACKUP}: asked if all before it fail"),
        ]
    );
    assert_eq!(
        why(json!({ "provider": { "max_price": { "prompt": 2 } } })).await,
        [
            format!("{BACKUP}: asked first, as the cheapest"),
            format!("{PRIMARY}: dearer than the request allows"),
        ]
    );
    let off = format!("/admin/models/smart/candidates/{BACKUP}");
    setup
        .admin(Method::PUT, &off, json!({ "enabled": false }))
        .await;
    assert_eq!(
        why(json!({})).await,
        [
            format!("{PRIMARY}: asked first, as the cheapest"),
            format!("{BACKUP}: disabled by the operator"),
        ]
    );
}

#[tokio::test]
async fn explains_who_is_started_beside_the_first_and_why_nobody_is() {
    let hedged = "hedge = \"2s\"\nbreaker = { failures = 1, open_for = \"60s\" }";
    let explained = async |setup: &Setup, request: Option<Value>| {
        let path = "/admin/explain";
        let answer = match request {
            Some(request) => setup.admin(Method::POST, path, request).await,
            None => {
                let path = format!("{path}?model=smart");
                setup.admin(Method::GET, &path, Value::Null).await
            }
        };
        let json = answer.json();
        json["hedge"].as_str().map(str::to_owned)
    };
    let told = |why: &str| Some(why.to_owned());

    let setup = Setup::with(hedged).await;
    let beside = format!("{BACKUP} is started beside the first after");
    assert_eq!(
        explained(&setup, None).await,
        told(&format!(
            "{beside} 2s without a stream's first content, 8s without a plain answer"
        ))
    );
    let streamed = explained(&setup, Some(common::hello_streamed())).await;
    assert_eq!(streamed, told(&format!("{beside} 2s")));
    let plain = explained(&setup, Some(common::hello())).await;
    assert_eq!(plain, told(&format!("{beside} 8s")));

    let nobody = "nobody is started beside the first:";
    let alone = told(&format!(
        "{nobody} there is no other but for lesser answers"
    ));
    let mut request = common::hello();
    request["disable_fallbacks"] = json!(true);
    assert_eq!(explained(&setup, Some(request)).await, alone);
    // The backup's turn is the first while the primary's circuit is open.
    setup.fault(Fault::unavailable());
    setup.gateway.answer().await;
    assert_eq!(explained(&setup, None).await, alone);

    let setup = Setup::with(&format!("{hedged}\nmax_attempts = 1")).await;
    let once = told(&format!("{nobody} `max_attempts` is 1"));
    assert_eq!(explained(&setup, None).await, once);
    let all = setup.admin(Method::GET, "/admin/explain?model=smart", Value::Null);
    let backup = &all.await.json()["candidates"][1];
    assert_eq!(backup["asked"], false);
    assert_eq!(backup["why"], "beyond what `max_attempts` allows");

    let once = hedged.replace("2s", "1ms");
    let setup = Setup::with(&once).await;
    // Each call deposits a fifth of a token, and takes a whole one of the ten that there are.
    setup.fault(Fault::slow(Duration::from_millis(200)));
    for _ in 0..13 {
        setup.gateway.streamed().await;
    }
    let spent = told(&format!("{nobody} the budget of second tries is spent"));
    assert_eq!(explained(&setup, None).await, spent);

    let setup = Setup::new().await;
    assert_eq!(explained(&setup, None).await, None);
}
