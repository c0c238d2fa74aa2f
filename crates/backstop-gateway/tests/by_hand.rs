//! What the operator changes by hand while the gateway runs.

mod common;

use backstop_simulator::Fault;
use common::{Answer, Setup};
use reqwest::Method;
use serde_json::{Value, json};

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

#[tokio::test]
async fn a_candidate_is_switched_off_and_on_at_once() {
    let setup = Setup::new().await;
    let path = format!("/admin/models/smart/candidates/{PRIMARY}");
    let off = setup
        .admin(Method::PUT, &path, json!({ "enabled": false }))
        .await;
    assert_eq!(off.status, 200, "{}", off.body);
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    setup
        .admin(Method::PUT, &path, json!({ "enabled": true }))
        .await;
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
    let unknown = "/admin/models/smart/candidates/nobody";
    let answer = setup
        .admin(Method::PUT, unknown, json!({ "enabled": false }))
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn who_has_been_switched_off_is_not_to_be_had_by_wishing() {
    let setup = Setup::new().await;
    for name in [PRIMARY, BACKUP] {
        let path = format!("/admin/models/smart/candidates/{name}");
        let off = json!({ "enabled": false });
        assert_eq!(setup.admin(Method::PUT, &path, off).await.status, 200);
    }
    for wish in ["disable_fallbacks", "no_wish"] {
        let mut body = common::hello();
        body[wish] = Value::Bool(true);
        let answer = Answer::read(setup.gateway.chat(body).await).await;
        assert_eq!(answer.status, 503, "{wish}: {}", answer.body);
        assert!(
            answer.body.contains("no candidate can be asked now"),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn the_order_is_changed_at_once() {
    let setup = Setup::new().await;
    let order = "/admin/models/smart/order";
    let changed = setup.admin(Method::PUT, order, json!([BACKUP])).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    setup.backup.fault(Fault::unavailable());
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
}

#[tokio::test]
async fn a_circuit_is_isolated_and_reset_by_hand() {
    let setup = Setup::new().await;
    let path = format!("/admin/circuits/{PRIMARY}");
    let done = setup
        .admin(Method::PUT, &path, json!({ "do": "isolate" }))
        .await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    assert_eq!(setup.primary.count(), 0);
    setup
        .admin(Method::PUT, &path, json!({ "do": "reset" }))
        .await;
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
}

#[tokio::test]
async fn a_name_with_a_slash_is_known_in_a_path() {
    let more = "[models.\"a/b\"]\ncandidates = [\"openai:vendor/model\"]\n";
    let setup = Setup::configured("", more).await;
    for name in ["openai:vendor/model", "openai:vendor%2Fmodel"] {
        for (path, order) in [
            (format!("/admin/circuits/{name}"), json!({ "do": "reset" })),
            (
                format!("/admin/models/a%2Fb/candidates/{name}"),
                json!({ "enabled": true }),
            ),
        ] {
            let answer = setup.admin(Method::PUT, &path, order).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
    let order = json!(["openai:vendor/model"]);
    let answer = setup
        .admin(Method::PUT, "/admin/models/a%2Fb/order", order)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn whatever_is_wrong_with_an_order_is_told_in_one_shape() {
    let setup = Setup::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let own = listener.local_addr().expect("is bound");
    let _serving = setup.gateway.gateway.serve_admin(listener);
    let candidate = format!("/admin/models/smart/candidates/{PRIMARY}");
    let circuit = format!("/admin/circuits/{PRIMARY}");
    let json = Some("application/json");
    let cases = [
        ("PUT", candidate.as_str(), json, "{", 400, "EOF"),
        (
            "PUT",
            &candidate,
            json,
            "{}",
            422,
            "missing field `enabled`",
        ),
        (
            "PUT",
            &candidate,
            json,
            r#"{"enabled":1}"#,
            422,
            "a boolean",
        ),
        (
            "PUT",
            &candidate,
            json,
            r#"{"enabled":true,"x":1}"#,
            422,
            "unknown field `x`",
        ),
        (
            "PUT",
            &candidate,
            None,
            r#"{"enabled":true}"#,
            415,
            "application/json",
        ),
        (
            "PUT",
            &circuit,
            json,
            r#"{"do":"explode"}"#,
            422,
            "expected `reset` or `isolate`",
        ),
        (
            "PUT",
            "/admin/circuits/none",
            json,
            r#"{"do":"reset"}"#,
            404,
            "no candidate is named",
        ),
        (
            "PUT",
            "/admin/circuits/%ff",
            json,
            r#"{"do":"reset"}"#,
            400,
            "UTF-8",
        ),
        (
            "PUT",
            "/admin/models/smart/order",
            json,
            r#""x""#,
            422,
            "expected a sequence",
        ),
        (
            "PUT",
            "/admin/models/smart/order",
            json,
            r#"["x"]"#,
            404,
            "no candidate",
        ),
        (
            "PUT",
            "/admin/models/none/order",
            json,
            "[]",
            404,
            "no model is named",
        ),
        (
            "GET",
            "/admin/models/smart/order",
            None,
            "",
            405,
            "does not take GET",
        ),
        (
            "GET",
            "/admin/explain",
            None,
            "",
            400,
            "missing field `model`",
        ),
        (
            "GET",
            "/admin/explain?model=none",
            None,
            "",
            404,
            "no model is named",
        ),
        ("POST", "/admin/explain", json, "{", 400, ""),
        ("POST", "/admin/reload", json, "", 422, "came from no file"),
        ("GET", "/admin/nothing", None, "", 404, "nothing at"),
    ];
    for address in [setup.gateway.address, own] {
        for (method, path, kind, body, status, why) in cases {
            let method = method.parse::<Method>().expect("is one");
            let url = format!("http://{address}{path}");
            let mut request = setup.gateway.client.request(method, url).body(body);
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            let answer = request.timeout(common::BOUND).send().await;
            let answer = Answer::read(answer.expect("an answer comes")).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            let told = answer.json()["error"]["message"].clone();
            let told = told.as_str().unwrap_or_else(|| panic!("{}", answer.body));
            assert!(told.contains(why), "{path}: {told}");
            assert!(!told.is_empty(), "{path}");
        }
    }
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
}
