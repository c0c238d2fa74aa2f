//! Who is asked for one request, in which order.

use super::Wishes;

/// Someone who could be asked.
pub(crate) trait Asked {
    /// Its name: `anthropic:claude-opus-4-8`, or `anthropic:claude-opus-4-8#2` by a second key.
    fn name(&self) -> &str;

    /// The name by which it is listed, whichever of its provider's keys it is asked by.
    fn listed(&self) -> &str;

    /// Its provider, where it has one.
    fn provider(&self) -> Option<&str>;
}

/// Those of `own`, the model's candidates, and of `others`, which the caller may name as well, who
/// are asked for a request with these wishes.
///
/// `others` gives the candidates that a name stands for, where the caller may use it.
pub(crate) fn order<A: Asked + Clone>(
    own: &[A],
    wishes: &Wishes,
    others: impl Fn(&str) -> Vec<A>,
) -> Vec<A> {
    let mut asked: Vec<A> = Vec::new();
    let mut add = |candidate: &A| {
        if !asked.iter().any(|it| it.name() == candidate.name()) {
            asked.push(candidate.clone());
        }
    };
    let first = |of: &[A]| of.first().map(|it| it.listed().to_owned());
    // A caller who writes the chain means the model itself to be asked once, and then the others.
    let only = first(own).filter(|_| wishes.only_these);
    own.iter()
        .filter(|it| only.as_deref().is_none_or(|only| it.listed() == only))
        .for_each(&mut add);
    for name in &wishes.fallbacks {
        let mut meant = own
            .iter()
            .filter(|candidate| is(*candidate, name))
            .peekable();
        if meant.peek().is_none() {
            others(name).iter().for_each(&mut add);
        }
        meant.for_each(&mut add);
    }
    let listed = |names: &[String], candidate: &A| {
        let place = |name: &String| {
            candidate
                .provider()
                .is_some_and(|it| it.eq_ignore_ascii_case(name))
        };
        names.iter().position(place)
    };
    asked.retain(|candidate| {
        let allowed = wishes.only.is_empty() || listed(&wishes.only, candidate).is_some();
        allowed && listed(&wishes.ignore, candidate).is_none()
    });
    asked.sort_by_key(|candidate| listed(&wishes.first, candidate).unwrap_or(usize::MAX));
    if let Some(only) = first(&asked).filter(|_| wishes.no_fallbacks) {
        asked.retain(|it| it.listed() == only);
    }
    asked
}

/// Whether a caller's `name` means this candidate: `openai:gpt-5.5`, as here; `openai/gpt-5.5`, as
/// elsewhere; or the model alone.
fn is(candidate: &impl Asked, name: &str) -> bool {
    let own = candidate.listed();
    let model = own.split_once(':').map(|(_, model)| model);
    own == name || own.replacen(':', "/", 1) == name || model == Some(name)
}

#[cfg(test)]
mod tests {
    use backstop_core::FaultKind;
    use backstop_llm::{Chat, ChatRequest, Json};
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    impl Asked for &'static str {
        fn name(&self) -> &str {
            self
        }

        fn listed(&self) -> &str {
            self.split('#').next().unwrap_or_default()
        }

        fn provider(&self) -> Option<&str> {
            self.split_once(':').map(|(provider, _)| provider)
        }
    }

    const OWN: [&str; 4] = ["anthropic:opus", "openai:gpt", "local:qwen", "static"];

    fn wishes(body: Value) -> Wishes {
        let mut chat = Chat::default();
        chat.model = "smart".to_owned();
        let fields = body.as_object().expect("is an object");
        chat.extra = fields
            .iter()
            .map(|(k, v)| (k.clone(), Json::of(v)))
            .collect();
        chat.extra.push(("logit_bias".to_owned(), Json::null()));
        let mut request = ChatRequest::from(chat);
        let wishes = Wishes::take(&mut request, &HeaderMap::new()).expect("can be read");
        let left: Vec<_> = request
            .chat()
            .extra
            .iter()
            .map(|(name, _)| &**name)
            .collect();
        assert_eq!(
            left,
            ["logit_bias"],
            "what is about routing goes no further"
        );
        wishes
    }

    fn asked(body: Value) -> Vec<&'static str> {
        order(&OWN, &wishes(body), |name| match name {
            "fast" => vec!["groq:llama", "openai:gpt"],
            _ => vec![],
        })
    }

    #[test]
    fn without_wishes_all_are_asked_in_the_operators_order() {
        assert_eq!(asked(json!({})), OWN);
        assert!(wishes(json!({})).is_empty());
    }

    #[test]
    fn openrouter_models_are_the_chain_after_the_model_itself() {
        let body =
            json!({ "models": ["smart", "openai/gpt", "fast", "unknown"], "route": "fallback" });
        assert_eq!(asked(body), ["anthropic:opus", "openai:gpt", "groq:llama"]);
    }

    #[test]
    fn openrouter_provider_order_puts_these_first() {
        let body = json!({ "provider": { "order": ["local", "OpenAI"] } });
        assert_eq!(
            asked(body),
            ["local:qwen", "openai:gpt", "anthropic:opus", "static"]
        );
        let body = json!({ "provider": { "order": ["openai"], "allow_fallbacks": false } });
        assert_eq!(asked(body), ["openai:gpt"]);
        let body = json!({ "provider": { "allow_fallbacks": false } });
        assert_eq!(asked(body), ["anthropic:opus"]);
        let body = json!({ "provider": { "ignore": ["anthropic"] } });
        assert_eq!(asked(body), ["openai:gpt", "local:qwen", "static"]);
    }

    #[test]
    fn another_key_is_no_other_candidate() {
        const KEYS: [&str; 4] = [
            "anthropic:opus",
            "anthropic:opus#2",
            "openai:gpt",
            "openai:gpt#2",
        ];
        let asked = |body| order(&KEYS, &wishes(body), |_| vec![]);
        assert_eq!(asked(json!({ "disable_fallbacks": true })), KEYS[..2]);
        assert_eq!(
            asked(json!({ "provider": { "allow_fallbacks": false } })),
            KEYS[..2]
        );
        assert_eq!(asked(json!({ "models": ["openai/gpt"] })), KEYS);
        assert_eq!(asked(json!({ "fallback_models": ["other"] })), KEYS[..2]);
    }

    #[test]
    fn a_list_without_a_name_in_it_asks_for_nothing() {
        for nothing in [json!([]), json!(null)] {
            for field in ["models", "fallback_models", "fallbacks"] {
                let wishes = wishes(json!({ field: nothing }));
                assert!(wishes.is_empty(), "{field}");
            }
        }
        for field in [
            "order",
            "allow_fallbacks",
            "only",
            "ignore",
            "sort",
            "max_price",
        ] {
            let wishes = wishes(json!({ "provider": { field: null } }));
            assert!(wishes.is_empty(), "{field}");
        }
    }

    #[test]
    fn openrouter_sort_and_prices_are_read_as_it_writes_them() {
        use crate::routing::{MaxPrice, Sort};
        let of = |provider: Value| wishes(json!({ "provider": provider }));
        assert_eq!(of(json!({ "sort": "price" })).sort, Some(Sort::Price));
        assert_eq!(
            of(json!({ "sort": { "by": "latency" } })).sort,
            Some(Sort::Latency)
        );
        let most = of(json!({ "max_price": { "prompt": "1.5", "completion": 4, "image": 9 } }));
        let (input, output) = (1.5, 4.0);
        assert_eq!(most.max_price, Some(MaxPrice { input, output }));
    }

    #[test]
    fn litellm_fallbacks_come_after_the_operators() {
        let body = json!({ "fallbacks": ["fast"], "num_retries": 0, "timeout": 2.5 });
        assert_eq!(
            asked(body.clone()),
            [
                "anthropic:opus",
                "openai:gpt",
                "local:qwen",
                "static",
                "groq:llama"
            ]
        );
        let wishes = wishes(body);
        assert_eq!(wishes.retries, Some(0));
        assert_eq!(wishes.total, Some(std::time::Duration::from_millis(2_500)));
        assert_eq!(
            asked(json!({ "disable_fallbacks": true })),
            ["anthropic:opus"]
        );
    }

    #[test]
    fn anyapi_conditions_say_after_what_and_how_soon() {
        let body = json!({
            "fallback_models": ["gpt"],
            "fallback_conditions": { "status_codes": [529], "timeout_ms": 800 },
        });
        assert_eq!(asked(body.clone()), ["anthropic:opus", "openai:gpt"]);
        let wishes = wishes(body);
        let on = wishes.on.expect("is limited");
        assert!(on.contains(FaultKind::Overloaded) && on.contains(FaultKind::TimedOut));
        assert!(!on.contains(FaultKind::Denied));
        assert_eq!(
            wishes.first_token,
            Some(std::time::Duration::from_millis(800))
        );
    }

    #[test]
    fn a_wish_of_the_wrong_type_is_the_callers_error() {
        for (param, wish) in [
            ("models", json!("gpt")),
            ("num_retries", json!(-1)),
            ("timeout", json!(-1)),
            ("provider", json!("openai")),
            ("provider.sort", json!({ "sort": "beauty" })),
            ("provider.max_price", json!({ "max_price": 5 })),
            ("provider", json!({ "max_price": { "prompt": "-1" } })),
            ("fallbacks[0]", json!([7])),
            ("fallback_conditions", json!(5)),
            (
                "fallback_conditions.timeout_ms",
                json!({ "timeout_ms": "soon" }),
            ),
        ] {
            let name = param.split(['.', '[']).next().unwrap_or(param);
            let mut chat = Chat::default();
            chat.extra = vec![(name.to_owned(), Json::of(&wish))];
            let taken = Wishes::take(&mut ChatRequest::from(chat), &HeaderMap::new());
            let error = taken.expect_err("is refused");
            assert_eq!(error.caller_status(), 400);
            assert_eq!(error.param(), Some(param));
            // In words that are not those of this program's insides.
            for inside in ["struct", "enum", "line", "variant", "u32", "u64"] {
                assert!(!error.message().contains(inside), "{}", error.message());
            }
        }
    }
}
