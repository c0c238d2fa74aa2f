//! What a config says, and what is said of a wrong one.

use std::{num::NonZeroU32, time::Duration};

use backstop_gateway::config::{Config, ConfigError, Target};
use backstop_llm::Dialect;

fn environment(name: &str) -> Option<String> {
    match name {
        "ANTHROPIC_API_KEY" => Some("sk-ant-secret".to_owned()),
        "OPENAI_API_KEY" => Some("sk-openai-secret".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("backstop.toml", text, &environment)
}

/// What is said of a wrong config, word for word.
fn refusal(text: &str) -> String {
    parse(text).expect_err("is refused").to_string()
}

const FULL: &str = r#"
listen = "127.0.0.1:4100"

[providers.anthropic]
dialect = "anthropic"
base_url = "https://api.anthropic.com/"
api_key = "${ANTHROPIC_API_KEY}"

[providers.openai]
dialect = "openai"
api_key = "${OPENAI_API_KEY}"
headers = { x-team = "search", authorization-extra = "Token ${OPENAI_API_KEY}" }

[models.smart]
candidates = [
    "anthropic:claude-opus-4-8",
    { candidate = "openai:gpt-5.5", attempts = 1 },
    { reply = "We are away for a moment." },
]
retry   = { attempts = 2, base = "250ms", cap = "8s", retry_after_cap = "10s" }
breaker = { failures = 5, rate = 0.5, min_calls = 10, window = "60s", open_for = "60s", probes = 1 }
timeout = { connect = "5s", first_token = "30s", idle = "30s", total = "600s" }
"#;

#[test]
fn reads_every_part() {
    let config = parse(FULL).expect("is right");
    assert_eq!(config.listen.to_string(), "127.0.0.1:4100");

    let anthropic = &config.providers["anthropic"];
    assert_eq!(anthropic.dialect, Dialect::Anthropic);
    assert_eq!(anthropic.base_url, "https://api.anthropic.com");
    assert_eq!(anthropic.api_keys[0].expose(), "sk-ant-secret");

    let openai = &config.providers["openai"];
    assert_eq!(openai.base_url, "https://api.openai.com/v1");
    assert_eq!(openai.headers[0].1.expose(), "Token sk-openai-secret");

    let model = config.model("smart").expect("is there");
    let names: Vec<_> = model.candidates.iter().map(|it| &*it.name).collect();
    assert_eq!(
        names,
        ["anthropic:claude-opus-4-8", "openai:gpt-5.5", "static"]
    );
    assert_eq!(model.candidates[1].attempts, NonZeroU32::new(1));
    assert!(matches!(&model.candidates[2].target, Target::Reply(text) if text.starts_with("We")));
    assert_eq!(model.timeout.total, Duration::from_secs(600));
    assert_eq!(model.continues.times, 2);
    assert!(config.model("other").is_none());
}

#[test]
fn a_star_takes_any_other_name() {
    let config = parse(&FULL.replace("[models.smart]", "[models.\"*\"]")).expect("is right");
    assert!(config.model("whatever").is_some());
}

#[test]
fn defaults_hold_for_every_model_that_says_nothing_else() {
    let config = parse(
        r#"
[providers.p]
dialect = "openai"
[defaults]
retry = { attempts = 1, cap = "1s" }
[models.a]
candidates = ["p:x"]
[models.b]
candidates = ["p:y"]
retry = { attempts = 3 }
"#,
    )
    .expect("is right");
    assert_eq!(config.models["a"].retry.attempts.get(), 1);
    assert_eq!(config.models["b"].retry.attempts.get(), 3);
    assert_eq!(config.models["b"].retry.cap, Duration::from_secs(1));
    assert_eq!(config.models["b"].retry.base, Duration::from_millis(250));
}

#[test]
fn never_shows_a_key() {
    let shown = format!("{:?}", parse(FULL).expect("is right"));
    assert!(!shown.contains("secret"), "{shown}");
    let text = "[providers.a]\napi_key = \"sk-literal-secret\" oops\n";
    assert!(!refusal(text).contains("secret"), "{}", refusal(text));
}

#[test]
fn names_the_line_of_every_problem() {
    let text = r#"listen = "4000"
[providers.anthropic]
dialect = "antropic"
api_key = "${NO_SUCH_KEY}"
[models.smart]
canditates = ["anthropic:claude"]
candidates = ["antrophic:claude", "openai", { attempts = 1 }]
retry = { base = "9s", attempts = 0 }
timeout = { total = "10s", idle = 5 }
"#;
    assert_eq!(
        refusal(text),
        r#"backstop.toml:1:10: `listen` should be an address and a port
    write it as "127.0.0.1:4000" or "[::1]:4000"
backstop.toml:3:11: `providers.anthropic.dialect` is no known dialect: "antropic"
    did you mean "anthropic"?
backstop.toml:4:11: `providers.anthropic.api_key` needs the environment variable NO_SUCH_KEY, which is not set
    set it before starting: export NO_SUCH_KEY=…
backstop.toml:6:1: unknown key `canditates` in [models.smart]
    did you mean `candidates`?
backstop.toml:7:15: `models.smart.candidates[0]` names an unknown provider: "antrophic"
    did you mean "anthropic:claude"?
backstop.toml:7:35: `models.smart.candidates[1]` names no provider and model: "openai"
    write "provider:model", as in "anthropic:claude-opus-4-8"
backstop.toml:7:45: [models.smart.candidates[2]] should have one of `candidate`, `cached` and `reply`
    write { candidate = "provider:model" }, { cached = "1h" } or { reply = "…" }
backstop.toml:8:9: [models.smart.retry] has a `base` above its `cap`
    raise `cap`, or lower `base`
backstop.toml:8:35: `models.smart.retry.attempts` should be a whole number from 1 to 10
backstop.toml:9:11: [models.smart.timeout] has its `first_token` limit above its `total`, so that it can't be reached
    raise `total`, or lower `first_token`
backstop.toml:9:11: [models.smart.timeout] has its `idle` limit above its `total`, so that it can't be reached
    raise `total`, or lower `idle`
backstop.toml:9:35: `models.smart.timeout.idle` should be a duration
    write it as "250ms", "30s", "10m" or "1h""#
    );
}

#[test]
fn refuses_a_config_in_which_nobody_could_answer() {
    assert_eq!(
        refusal(""),
        "backstop.toml:1:1: the file lacks `models`\n    \
         add a table [models.NAME] with its candidates"
    );
    assert_eq!(
        refusal("[models]\n"),
        "backstop.toml:1:1: [models] is empty\n    add a table [models.NAME] with its candidates"
    );
    assert_eq!(
        refusal("[models.a]\ncandidates = []\n"),
        "backstop.toml:2:14: `models.a.candidates` is empty, so that nobody could answer\n    \
         add candidates = [\"provider:model\", …]"
    );
}

#[test]
fn refuses_a_candidate_that_is_there_twice() {
    let text = "[providers.p]\ndialect = \"openai\"\n[models.a]\ncandidates = [\"p:x\", \"p:x\"]\n";
    assert_eq!(
        refusal(text),
        "backstop.toml:4:22: `models.a.candidates[1]` repeats p:x\n    \
         name a candidate once; `attempts` says how often it is tried"
    );
}

#[test]
fn refuses_two_breakers_for_one_circuit() {
    let text = r#"[providers.p]
dialect = "openai"
[models.a]
candidates = ["p:x"]
[models.b]
candidates = ["p:x"]
breaker = { failures = 3 }
"#;
    assert_eq!(
        refusal(text),
        "backstop.toml:5:1: `models.b` gives p:x another `breaker` than [models.a] does, \
         and they share its circuit\n    give both the same, or set it once in [defaults]"
    );
}

#[test]
fn says_all_that_a_breaker_and_a_retry_can_do() {
    use backstop_circuit_breaker::Window;
    use backstop_core::{FaultKind, FaultKinds};
    let text = r#"[providers.p]
dialect = "openai"
[models.a]
candidates = ["p:x"]
continue = 1
max_attempts = 3
breaker = { failures = 0, rate = 0.4, slow_after = "4s", slow_rate = 0.9, window = "200 calls", open_for = "5s", open_cap = "5m", probes = 3, probe_failures = 1, half_open_for = "20s", retry_after_cap = "2m", quota_wait = "1h", counts = ["connect"], at_once = [], hold_off = ["rate_limited"] }
retry = { jitter = "equal", on = ["connect"], on_hint = [], min_useful = "1s" }
"#;
    let config = parse(text).expect("is right");
    let model = &config.models["a"];
    assert_eq!(model.continues.times, 1);
    assert_eq!(model.max_attempts, NonZeroU32::new(3));
    let breaker = &model.breaker;
    assert_eq!((breaker.failures, breaker.rate), (None, Some(0.4)));
    assert_eq!(breaker.slow, Some((Duration::from_secs(4), 0.9)));
    assert_eq!(breaker.window, Window::calls(200.try_into().unwrap()));
    assert_eq!(breaker.open_cap, Duration::from_secs(300));
    assert_eq!(breaker.half_open_for, Some(Duration::from_secs(20)));
    assert_eq!(breaker.counts, FaultKinds::of(&[FaultKind::Connect]));
    assert_eq!(breaker.at_once, FaultKinds::of(&[]));
    assert_eq!(model.retry.on, FaultKinds::of(&[FaultKind::Connect]));
    assert_eq!(model.retry.min_useful, Duration::from_secs(1));
    backstop_gateway::Gateway::new(config).expect("can be made");
}

#[test]
fn refuses_keys_that_can_not_be_sent_or_told_apart() {
    let hash = "ab".repeat(32);
    let text = format!(
        r#"[providers.p]
dialect = "openai"
api_key = "sk-secret\n"
[models.a]
candidates = ["p:x"]
[keys.one]
sha256 = "{hash}"
[keys.two]
sha256 = "{hash}"
"#
    );
    assert_eq!(
        refusal(&text),
        "backstop.toml:3:11: `providers.p.api_key` can't be sent in a header\n    \
         remove line breaks and other control characters\n\
         backstop.toml:8:1: `keys.two` has the same key as [keys.one]: \
         nobody could tell who calls\n    make a key and its hash by `backstop key`"
    );
}

#[test]
fn says_when_others_are_tried_and_how_much_is_continued() {
    use backstop_gateway::config::Backoff;
    let text = r#"[providers.p]
dialect = "openai"
[defaults]
hedge = "2s"
continue = { max_partial = "1KiB" }
[models.a]
candidates = ["p:x"]
continue = 1
retry = { backoff = "decorrelated", throttled = { base = "2s", cap = "9s" } }
[models.b]
candidates = ["p:x"]
hedge = { first_token = "1s", answer = "9s" }
[models.c]
candidates = ["p:x"]
hedge = false
"#;
    let config = parse(text).expect("is right");
    let hedges = |model: &str| {
        let hedge = config.models[model].hedge?;
        Some((hedge.first_token.as_secs(), hedge.answer.as_secs()))
    };
    assert_eq!(hedges("a"), Some((2, 8)));
    assert_eq!(hedges("b"), Some((1, 9)));
    assert_eq!(hedges("c"), None);
    let model = &config.models["a"];
    assert_eq!(
        (model.continues.times, model.continues.max_partial),
        (1, 1024)
    );
    assert_eq!(model.retry.backoff, Backoff::Decorrelated);
    let throttled = (Duration::from_secs(2), Duration::from_secs(9));
    assert_eq!(model.retry.throttled, Some(throttled));
    backstop_gateway::Gateway::new(config).expect("can be made");
}

#[test]
fn refuses_waits_and_hedges_that_can_mean_nothing() {
    let text = r#"[providers.p]
dialect = "openai"
[models.a]
candidates = ["p:x"]
hedge = true
continue = { times = 11, max_partial = 5 }
retry = { backoff = "wild", throttled = { base = "9s", cap = "1s" } }
[models.b]
candidates = ["p:x"]
hedge = { answer = "0s" }
retry = { backoff = "decorrelated", jitter = "full", throttled = { base = "1s" } }
"#;
    assert_eq!(
        refusal(text),
        r#"backstop.toml:5:9: `models.a.hedge` does not say when
    write it as "2s"
backstop.toml:6:22: `models.a.continue.times` should be a whole number from 0 to 10
backstop.toml:6:40: `models.a.continue.max_partial` should be a size
    write it as "512B", "64KiB" or "32MiB"
backstop.toml:7:21: `models.a.retry.backoff` is no known backoff
    write "exponential" or "decorrelated"
backstop.toml:7:41: [models.a.retry.throttled] has a `base` above its `cap`
    raise `cap`, or lower `base`
backstop.toml:10:9: [models.b.hedge] lacks `first_token`
    add first_token = "2s"
backstop.toml:10:20: `models.b.hedge.answer` should be longer than nothing
backstop.toml:11:46: `models.b.retry.jitter` adds chance to a decorrelated backoff, which is nothing else
    leave it out, or write backoff = "exponential"
backstop.toml:11:66: [models.b.retry.throttled] lacks `cap`
    add cap = "20s""#
    );
}

#[test]
fn refuses_rules_of_a_breaker_that_can_mean_nothing() {
    let text = r#"[providers.p]
dialect = "openai"
[models.a]
candidates = ["p:x"]
[defaults]
breaker = { slow_rate = 0.5, window = "some", open_for = "60s", open_cap = "10s", probe_failures = 1 }
retry = { jitter = "wild", on = ["overload"] }
"#;
    assert_eq!(
        refusal(text),
        r#"backstop.toml:6:11: [defaults.breaker] has a `slow_rate`, and nothing is slow
    add slow_after = "10s", the time to the first content
backstop.toml:6:11: [defaults.breaker] has an `open_cap` below its `open_for`
    raise `open_cap`, or lower `open_for`
backstop.toml:6:11: [defaults.breaker] lets all of its `probes` fail
    raise `probes`, or lower `probe_failures`
backstop.toml:6:39: `defaults.breaker.window` is no window to count calls in
    write it as "60s" or "100 calls"
backstop.toml:7:20: `defaults.retry.jitter` is no known jitter
    write "full", "equal" or "none"
backstop.toml:7:34: `defaults.retry.on[0]` is no kind of failure: "overload"
    did you mean "overloaded"?"#
    );
}

#[test]
fn says_where_the_toml_itself_is_wrong() {
    let refusal = refusal("listen = \"127.0.0.1:4000\"\n[models.smart\n");
    assert!(refusal.starts_with("backstop.toml:2:"), "{refusal}");
    assert!(refusal.contains("not TOML"), "{refusal}");
}

#[test]
fn refuses_an_address_with_a_password_in_it_without_showing_it() {
    let text = "[providers.p]\ndialect = \"openai\"\nbase_url = \"https://me:hunter2@host/v1\"\n\
                [models.a]\ncandidates = [\"p:x\"]\n";
    let refusal = refusal(text);
    assert!(refusal.starts_with("backstop.toml:3:12: `providers.p.base_url` should be"));
    assert!(!refusal.contains("hunter2"));
}

#[test]
fn who_is_open_to_other_machines_asks_for_keys() {
    let open = "listen = \"0.0.0.0:4000\"\n[providers.p]\ndialect = \"openai\"\n\
                [models.a]\ncandidates = [\"p:x\"]\n";
    assert_eq!(
        refusal(open),
        "backstop.toml:1:10: `listen` is open to other machines, and nobody would need a key\n    \
         add a [keys.NAME] made by `backstop key`, or listen on 127.0.0.1"
    );
    let hash = "ab".repeat(32);
    let key = format!("[keys.team]\nsha256 = \"{hash}\"\nrequests_per_minute = 60\n");
    let config = parse(&format!("{open}{key}")).expect("is right");
    assert_eq!(config.keys["team"].requests_per_minute, NonZeroU32::new(60));
}

#[test]
fn refuses_a_key_that_is_no_hash_without_showing_it() {
    let text = "[providers.p]\ndialect = \"openai\"\n[models.a]\ncandidates = [\"p:x\"]\n\
                [keys.team]\nsha256 = \"bk-the-key-itself\"\n";
    assert_eq!(
        refusal(text),
        "backstop.toml:6:10: `keys.team.sha256` should be a SHA-256 of 64 hexadecimal digits\n    \
         make a key and its hash by `backstop key`"
    );
}

#[test]
fn refuses_what_is_no_word_for_what_a_model_can_do() {
    let text = r#"[providers.p]
dialect = "openai"
[models.a]
candidates = [
    { candidate = "p:x", can = ["image"], lacks = ["flying"], resumes = "somehow" },
    { candidate = "p:y", commit = "later", validate = "all", sytem = "Hi." },
]
allow_loss = ["sed"]
commit = "0 characters"
"#;
    assert_eq!(
        refusal(text),
        r#"backstop.toml:5:33: `models.a.candidates[0].can[0]` is nothing a request may need: "image"
    did you mean "images"?
backstop.toml:5:52: `models.a.candidates[0].lacks[0]` is nothing a request may need: "flying"
    known: audio, choices, documents, fields, forced_tools, images, json_mode, json_schema, logprobs, native, penalties, prefill, reasoning, seed, single_tool_calls, stop, system, temperature, tools, top_k, top_p
backstop.toml:5:73: `models.a.candidates[0].resumes` is no known way to go on with an answer
    write one of "continue_final_message", "instruction", "never", "prefill"
backstop.toml:6:35: `models.a.candidates[1].commit` is no point to commit at: "later"
    write "first_content", "200 characters", "300ms" or "none"
backstop.toml:6:55: `models.a.candidates[1].validate` is nothing to hold answers against: "all"
    write "schema" or "none"
backstop.toml:6:62: unknown key `sytem` in [models.a.candidates[1]]
    did you mean `system`?
backstop.toml:8:15: `models.a.allow_loss[0]` is nothing a request may need: "sed"
    did you mean "seed"?
backstop.toml:9:10: `models.a.commit` is no point to commit at: "0 characters"
    write "first_content", "200 characters", "300ms" or "none""#
    );
}
