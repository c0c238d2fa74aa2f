//! Every fault of a provider, in every dialect, through every front, plain and streamed: answered
//! whole, or an explicit error, and never a piece that looks like the whole.

mod common;

use std::{fmt, time::Duration};

use backstop_simulator::{Dialect, Fault, Reply};
use common::{
    Running,
    fronts::{FRONTS, Front, Read},
    simulator,
};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

/// What both providers say, so that an answer that two of them gave together can be checked too.
const TEXT: &str = "One two three four five six seven eight nine ten eleven twelve.";

/// More than a healthy answer takes on a busy machine, and not too long to wait for what hangs.
const LIMIT: &str = "2s";

/// How many calls are under way at once.
const AT_ONCE: usize = 24;

/// Whose fault it is, and so what must become of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expect {
    /// Nothing has been said yet: the backup answers.
    Backup,
    /// The caller's own doing, or a filter's: it is told so.
    Refused,
    /// Something has been said: a stream is continued, a plain answer comes from the backup.
    Whole,
}

fn faults() -> Vec<(Fault, Expect)> {
    use Expect::{Backup, Refused, Whole};
    let soon = Duration::from_millis(20);
    vec![
        (Fault::overloaded(), Backup),
        (Fault::unavailable(), Backup),
        (Fault::error(), Backup),
        (Fault::rate_limited(Duration::from_secs(60)), Backup),
        (Fault::quota(), Backup),
        (Fault::denied(), Backup),
        (Fault::forbidden(), Backup),
        (Fault::missing(), Backup),
        (Fault::hang(), Backup),
        (Fault::reset(), Backup),
        (Fault::refuse(), Backup),
        (Fault::html(), Backup),
        (Fault::empty(), Backup),
        (Fault::error_200(), Backup),
        (Fault::garbage(), Backup),
        (Fault::error_event(0), Backup),
        (Fault::cut(0), Backup),
        (Fault::close(0), Backup),
        (Fault::stall(0), Backup),
        (Fault::invalid(), Refused),
        (Fault::filtered(), Refused),
        (Fault::cut(3), Whole),
        (Fault::reset_after(3), Whole),
        (Fault::close(3), Whole),
        (Fault::stall(3), Whole),
        (Fault::error_event(3), Whole),
        (Fault::pings(3, soon), Whole),
    ]
}

/// The primary's dialect, as the simulator and as the config have it.
const PRIMARIES: [(Dialect, &str); 4] = [
    (Dialect::Anthropic, "anthropic"),
    (Dialect::Gemini, "gemini"),
    (Dialect::OpenAi, "openai"),
    (Dialect::OpenAi, "responses"),
];

/// What became of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Outcome {
    Whole {
        by: String,
    },
    Error {
        status: u16,
    },
    /// An error after something had been said.
    Broken,
    /// What must never be: a piece that looks like the whole, or something else altogether.
    Wrong(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { by } => f.pad(by),
            Self::Error { status } => f.pad(&status.to_string()),
            Self::Broken => f.pad("error"),
            Self::Wrong(_) => f.pad("WRONG"),
        }
    }
}

async fn call(fault: &Fault, front: Front, primary: (Dialect, &str)) -> Outcome {
    let (dialect, name) = primary;
    let broken = simulator(dialect, Reply::text(TEXT)).await;
    let backup = simulator(Dialect::Anthropic, Reply::text(TEXT)).await;
    broken.fault(fault.clone());
    let gateway = Running::start(&format!(
        "[providers.primary]\ndialect = \"{name}\"\nbase_url = \"{}\"\n\
         [providers.backup]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"primary:p-1\", \"backup:b-1\"]\n\
         retry = {{ attempts = 1 }}\n\
         timeout = {{ first_token = \"{LIMIT}\", answer = \"{LIMIT}\", idle = \"{LIMIT}\" }}\n",
        broken.base_url(),
        backup.base_url(),
    ))
    .await;
    let body = front.body("Count.");
    let response = gateway
        .post(front.path, &body)
        .send()
        .await
        .expect("an answer comes");
    let status = response.status().as_u16();
    let began = response.headers().get("x-served-by").cloned();
    let body = response.text().await.expect("the body comes to its end");
    if status != 200 {
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        return match json["error"]["message"].as_str() {
            Some(message) if !message.is_empty() => Outcome::Error { status },
            _ => Outcome::Wrong(format!("{status} without a reason: {body}")),
        };
    }
    match front.read(&body) {
        Read {
            error: true,
            ended: false,
            ..
        } if front.streamed => Outcome::Broken,
        Read {
            text,
            ended: true,
            error: false,
        } if text == TEXT => Outcome::Whole {
            // The header says who began.
            by: match began {
                Some(name) if name == "backup:b-1" => "backup",
                _ if backup.count() > 0 => "continued",
                _ => "primary",
            }
            .to_owned(),
        },
        answer => Outcome::Wrong(format!("{answer:?} in {body}")),
    }
}

fn is_as_expected(expect: Expect, front: Front, outcome: &Outcome) -> bool {
    match (expect, outcome) {
        (Expect::Backup, Outcome::Whole { by }) => by == "backup",
        (Expect::Refused, Outcome::Error { status }) => *status == 400,
        (Expect::Whole, Outcome::Whole { by }) => by != "continued" || front.streamed,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_answered_whole_or_told() {
    let faults = faults();
    let mut cells = Vec::new();
    for row in 0..faults.len() {
        for primary in PRIMARIES {
            for front in FRONTS {
                cells.push((row, primary, front));
            }
        }
    }
    let cells = stream::iter(cells)
        .map(|(row, primary, front)| {
            let fault = faults[row].0.clone();
            async move { (row, primary, front, call(&fault, front, primary).await) }
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;

    let mut wrong = Vec::new();
    println!("{:<20} {:<10} {}", "fault", "primary", columns());
    for line in cells.chunks(FRONTS.len()) {
        let (row, (_, primary), ..) = &line[0];
        let (fault, expect) = &faults[*row];
        let name = fault.to_string();
        let outcomes: Vec<_> = line
            .iter()
            .map(|(.., outcome)| format!("{outcome:<10}"))
            .collect();
        println!("{name:<20} {primary:<10} {}", outcomes.join(" ").trim_end());
        for (.., front, outcome) in line {
            if !is_as_expected(*expect, *front, outcome) {
                wrong.push(format!("{name} of {primary} by {front:?}: {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn columns() -> String {
    let names = FRONTS.map(|front| {
        let path = front.path.rsplit('/').next().unwrap_or_default();
        format!(
            "{:<10}",
            format!("{}{}", path, if front.streamed { "~" } else { "" })
        )
    });
    names.join(" ").trim_end().to_owned()
}
