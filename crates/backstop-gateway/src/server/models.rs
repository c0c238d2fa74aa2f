//! `GET /v1/models`, as OpenAI's clients know it and as Anthropic's do.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use backstop_llm::Dialect;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{app, ask, refusal};
use crate::{gateway::Gateway, request_id};

/// The models that the caller may ask for. The name that takes any other is none to ask for.
pub(super) async fn list(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    let mut response = listed(&gateway, &headers);
    request_id::stamp(response.headers_mut(), &request_id::of(&headers));
    response
}

fn listed(gateway: &Gateway, headers: &HeaderMap) -> Response {
    let running = gateway.running();
    let dialect = app::front_of(headers);
    let caller = match ask::caller(&running, headers) {
        Ok(caller) => caller,
        Err(error) => return refusal::refuse(dialect.front(), &error),
    };
    let names = running
        .models
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "*")
        .filter(|name| caller.as_ref().is_none_or(|caller| caller.may_use(name)));
    let list = match dialect {
        Dialect::Anthropic => anthropic(names),
        _ => openai(names),
    };
    Json(list).into_response()
}

fn openai<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let data = names
        .map(|name| json!({ "id": name, "object": "model", "created": 0, "owned_by": "backstop" }));
    json!({ "object": "list", "data": data.collect::<Value>() })
}

fn anthropic<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let data: Vec<_> = names
        .map(|name| {
            json!({
                "id": name,
                "type": "model",
                "display_name": name,
                "created_at": "1970-01-01T00:00:00Z",
            })
        })
        .collect();
    let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
    json!({
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": false,
        "data": data,
    })
}
