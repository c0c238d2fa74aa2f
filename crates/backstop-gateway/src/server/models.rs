//! `GET /v1/models`, as OpenAI's clients know it and as Anthropic's do, and one of these.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use backstop_llm::{Dialect, Error};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{app, ask, refusal};
use crate::{
    config::Target,
    gateway::{Gateway, Running},
    request_id,
};

/// The models that the caller may ask for.
pub(super) async fn list(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    told(&gateway, &headers, |dialect, running, may_use| {
        let names = names(running).into_iter().filter(|name| may_use(name));
        let models = names.map(|name| one(dialect, name));
        Ok(match dialect {
            Dialect::Anthropic => page(models.collect()),
            _ => json!({ "object": "list", "data": models.collect::<Value>() }),
        })
    })
}

/// One that the caller may ask for.
pub(super) async fn model(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    told(&gateway, &headers, |dialect, running, may_use| {
        if running.model(&name).is_some() && may_use(&name) {
            Ok(one(dialect, &name))
        } else {
            Err(refusal::unknown_model(&name))
        }
    })
}

/// What is told to a caller who may ask for some models.
fn told(
    gateway: &Gateway,
    headers: &HeaderMap,
    tell: impl FnOnce(Dialect, &Running, &dyn Fn(&str) -> bool) -> Result<Value, Error>,
) -> Response {
    let running = gateway.running();
    let dialect = app::front_of(headers);
    let told = ask::caller(&running, headers).and_then(|caller| {
        tell(dialect, &running, &|name| {
            let may_use = |name| caller.as_ref().is_none_or(|caller| caller.may_use(name));
            let taken = || {
                running
                    .model(name)
                    .is_some_and(|model| may_use(&model.name))
            };
            name != "*" && (may_use(name) || taken())
        })
    });
    let mut response = match told {
        Ok(told) => Json(told).into_response(),
        Err(error) => refusal::refuse(dialect.front(), &error),
    };
    request_id::stamp(response.headers_mut(), &request_id::of(headers));
    response
}

/// The names that can be asked for, as far as they are known. The one that takes any other is none
/// to ask for; what its candidates are called by their providers stands for it, so that who chooses
/// from a list finds something there.
fn names(running: &Running) -> BTreeSet<&str> {
    let config = &running.config;
    let any = config.models.get("*").into_iter();
    let theirs = any.flat_map(|model| &model.candidates);
    let theirs = theirs.filter_map(|candidate| match &candidate.target {
        Target::Provider { model, .. } => Some(model.as_str()),
        _ => None,
    });
    config
        .models
        .keys()
        .map(|name| &**name)
        .chain(theirs)
        .collect()
}

fn one(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::Anthropic => json!({
            "id": name,
            "type": "model",
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
        }),
        _ => json!({ "id": name, "object": "model", "created": 0, "owned_by": "backstop" }),
    }
}

fn page(data: Vec<Value>) -> Value {
    let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
    json!({
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": false,
        "data": data,
    })
}
