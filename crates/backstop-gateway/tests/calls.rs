//! A tool call that has been begun is never continued elsewhere and never delivered half, whoever
//! began it and however it broke off.

mod common;

use backstop_simulator::{Dialect, Fault, Reply, Simulator};
use common::{
    Answer, Running,
    paths::{PATHS, asking, is_end_marker, is_error, tool},
    simulator,
};
use serde_json::{Value, json};

const PRIMARIES: [(Dialect, &str); 4] = [
    (Dialect::Anthropic, "anthropic"),
    (Dialect::Gemini, "gemini"),
    (Dialect::OpenAi, "openai"),
    (Dialect::OpenAi, "responses"),
];

/// A gateway whose primary breaks off in a tool call, and its backup.
async fn setup(dialect: Dialect, name: &str, fault: Fault) -> (Running, [Simulator; 2]) {
    let arguments = json!({ "city": "Paris", "days": [1, 2, 3, 4, 5, 6, 7, 8, 9] });
    let primary = simulator(dialect, Reply::tool_call("look", arguments)).await;
    let backup = simulator(Dialect::Anthropic, Reply::text("No tool.")).await;
    primary.fault(fault);
    let gateway = Running::start(&format!(
        "[providers.primary]\ndialect = \"{name}\"\nbase_url = \"{}\"\n\
         [providers.backup]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"primary:p-1\", \"backup:b-1\"]\n\
         retry = {{ attempts = 1 }}\n\
         timeout = {{ first_token = \"5s\", idle = \"500ms\" }}\n",
        primary.base_url(),
        backup.base_url(),
    ))
    .await;
    (gateway, [primary, backup])
}

/// What tells a caller that a call is whole.
fn ends_of_calls(path: &str) -> &'static [&'static str] {
    match path {
        "/v1/messages" => &["content_block_stop", "\"tool_use\",\"stop_sequence\""],
        "/v1/responses" => &["arguments.done", "output_item.done"],
        _ => &["\"finish_reason\":\"tool_calls\""],
    }
}

#[tokio::test]
async fn half_a_tool_call_is_neither_continued_nor_called_whole() {
    for (dialect, name) in PRIMARIES {
        // Gemini's calls come in one piece, so there is only the end to be missed.
        let after = if dialect == Dialect::Gemini { 1 } else { 2 };
        for fault in [
            Fault::cut(after),
            Fault::close(after),
            Fault::stall(after),
            Fault::error_event(after),
        ] {
            for path in PATHS {
                let (gateway, [_primary, backup]) = setup(dialect, name, fault.clone()).await;
                let more = json!({ "tools": [tool(path, "look")], "stream": true });
                let request = gateway.post(path, &asking(path, &more));
                let answer = Answer::read(request.send().await.expect("an answer comes")).await;
                let what = format!("{fault} of {name} by {path}: {}", answer.body);
                assert_eq!(answer.served_by(), "primary:p-1", "{what}");
                let last = answer.events().last().unwrap_or_default();
                let last: Value = serde_json::from_str(last).unwrap_or_default();
                assert!(is_error(path, &last), "{what}");
                assert!(!answer.events().any(is_end_marker), "{what}");
                assert_eq!(backup.count(), 0, "{what}");
                if dialect != Dialect::Gemini {
                    for end in ends_of_calls(path) {
                        assert!(!answer.body.contains(end), "{end} in {what}");
                    }
                    let output = last["response"]["output"].to_string();
                    assert!(!output.contains("function_call"), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_tool_call_that_breaks_off_before_it_is_told_is_made_by_the_next() {
    for (dialect, name) in PRIMARIES {
        let (gateway, [_primary, backup]) = setup(dialect, name, Fault::cut(0)).await;
        for path in PATHS {
            let more = json!({ "tools": [tool(path, "look")], "stream": true });
            let request = gateway.post(path, &asking(path, &more));
            let answer = Answer::read(request.send().await.expect("an answer comes")).await;
            assert!(
                answer.events().any(is_end_marker),
                "{name}: {}",
                answer.body
            );
            assert!(answer.body.contains(" tool."), "{name}: {}", answer.body);
        }
        assert_eq!(backup.count(), 3, "{name}");
    }
}
