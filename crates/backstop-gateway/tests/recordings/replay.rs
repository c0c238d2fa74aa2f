//! Each recording, through each front.

use std::collections::BTreeMap;

use backstop_core::FaultKind;
use backstop_llm::{Dialect, Need, object::Object};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    ask::{Ask, Piece, Side},
    ask_read, ask_write,
    common::Running,
    events::events,
    expect::{self, Answer},
    expect_error,
    player::{Cut, play},
    recording::{Recording, recordings},
    told,
};

const FRONTS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Responses];

/// Why a model is not asked with a temperature beyond what its dialect takes.
const TOO_HOT: &str = "takes no such temperature";

/// How many gateways run at once.
const AT_ONCE: usize = 8;

/// A gateway before a model that is able to do everything that dialects share.
async fn gateway(dialect: Dialect, base_url: &str, model: &str) -> Running {
    let shared = Need::ALL.into_iter();
    let can: Vec<_> = shared
        .filter(|need| !matches!(need, Need::Fields | Need::Native))
        .map(Need::as_str)
        .collect();
    Running::start(&format!(
        "[providers.p]\ndialect = \"{dialect}\"\nbase_url = \"{base_url}\"\n\
         [models.smart]\nretry = {{ attempts = 1 }}\n\
         breaker = {{ failures = 1000, min_calls = 1000 }}\n\
         [[models.smart.candidates]]\ncandidate = {:?}\ncan = {can:?}\n\
         context_window = 1000000000\nmax_output = 1000000\n",
        format!("p:{model}"),
    ))
    .await
}

/// Fields by which a request says whom to ask. They are the gateway's to read, whose providers are
/// called otherwise than those of the service that was recorded.
const ROUTING: [&str; 3] = ["models", "provider", "route"];

/// What a caller of a front sends.
struct Sent {
    body: String,
    means: Means,
}

/// What that is to mean where it arrives.
enum Means {
    /// The very request that was recorded.
    Recorded(String),
    /// The same in other words.
    Ask(Ask),
    /// What was recorded is no request that this front could take, for this reason.
    Nothing(String),
}

impl Sent {
    fn new(recording: &Recording, dialect: Dialect, front: Dialect) -> Self {
        let (recorded, streamed) = (recording.asked(), recording.is_streamed());
        let own = if dialect == front {
            Self::as_recorded(recorded, streamed, front)
        } else {
            Self::translated(recorded, streamed, (dialect, front))
        };
        own.unwrap_or_else(|reason| {
            let mut ask = Ask::default();
            ask.say(Side::Caller, Piece::Text("Hello!".to_owned()));
            ask.streamed = recording.is_streamed();
            ask.max_tokens = Some(100);
            Self {
                body: ask_write::write(&ask, front).to_string(),
                means: Means::Nothing(reason),
            }
        })
    }

    fn as_recorded(recorded: &str, streamed: bool, front: Dialect) -> Result<Self, String> {
        let known = front.front().parse(recorded.to_owned().into());
        let known = known.map_err(|error| error.to_string())?;
        if known.is_streamed() != streamed {
            return Err("does not ask for what was answered".to_owned());
        }
        let mut body = Object::parse(recorded.as_bytes()).expect("a request");
        ROUTING.iter().for_each(|name| body.remove(name));
        let recorded = String::from_utf8(body.to_vec()).expect("text");
        body.set("model", "smart");
        if front == Dialect::OpenAi && streamed {
            body.set(
                "stream_options",
                &serde_json::json!({ "include_usage": true }),
            );
        }
        Ok(Self {
            body: String::from_utf8(body.to_vec()).expect("text"),
            means: Means::Recorded(recorded),
        })
    }

    fn translated(
        recorded: &str,
        streamed: bool,
        (dialect, front): (Dialect, Dialect),
    ) -> Result<Self, String> {
        let mut ask = ask_read::read(dialect, recorded)?;
        if ask.said.is_empty() {
            return Err("asks nothing".to_owned());
        }
        ask.streamed = streamed;
        let ask = ask_write::sayable(ask, front);
        Ok(Self {
            body: ask_write::write(&ask, front).to_string(),
            means: Means::Ask(ask),
        })
    }

    /// Holds what reached the provider against it.
    fn check(&self, dialect: Dialect, reached: &str) -> Result<(), String> {
        match &self.means {
            Means::Recorded(recorded) => told::is_same(reached, recorded)?,
            Means::Ask(ask) => {
                let mut found = ask_read::read(dialect, reached)?;
                // Gemini tells by the path whether it is to stream.
                found.streamed = ask.streamed;
                if ask.max_tokens.is_none() {
                    found.max_tokens = None;
                }
                if found != *ask {
                    return Err(format!("asked {found:#?}\nand not {ask:#?}"));
                }
            }
            Means::Nothing(_) => {}
        }
        Ok(())
    }

    fn how(&self) -> String {
        match &self.means {
            Means::Recorded(_) => "asked as recorded".to_owned(),
            Means::Ask(_) => "asked in other words".to_owned(),
            Means::Nothing(reason) => format!("asked something else: {reason}"),
        }
    }
}

/// What went wrong, of one recording in one front.
async fn exchange(
    recording: &Recording,
    dialect: Dialect,
    front: Dialect,
    gateway: &Running,
    asked: &mut UnboundedReceiver<String>,
) -> Result<String, String> {
    let sent = Sent::new(recording, dialect, front);
    let response = gateway
        .client
        .post(gateway.url(ask_write::path(front)))
        .timeout(crate::common::BOUND)
        .body(sent.body.clone())
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|error| error.to_string())?;
    let Ok(reached) = asked.try_recv() else {
        // What the provider refused then is known of it by now, and refused here without a call.
        if status == 400 && recording.status() == 400 && body.contains(TOO_HOT) {
            return Ok(format!("refused as it was recorded: {TOO_HOT}"));
        }
        return Err(format!("the provider was not asked, but {status}: {body}"));
    };
    sent.check(dialect, &reached)?;
    match expect::read(recording, dialect) {
        Ok(answer) => whole(recording, answer, dialect, front, status, &body)?,
        Err(kind) => failed(recording, kind, front, status, &body)?,
    }
    Ok(sent.how())
}

/// The caller was told the whole answer.
fn whole(
    recording: &Recording,
    answer: Answer,
    dialect: Dialect,
    front: Dialect,
    status: u16,
    body: &str,
) -> Result<(), String> {
    if status != 200 {
        return Err(format!("{status}: {body}"));
    }
    let streamed = recording.is_streamed();
    let answer = told::as_told(answer, streamed, dialect, front);
    match told::read(recording, body.to_owned(), front) {
        Ok(found) if found == answer && told::ends_well(recording, body) => Ok(()),
        found => Err(format!("told {found:#?}\nand not {answer:#?}\nin {body}")),
    }
}

/// The caller was told what kind of failure it was, and nothing that looks like an answer.
fn failed(
    recording: &Recording,
    kind: FaultKind,
    front: Dialect,
    status: u16,
    body: &str,
) -> Result<(), String> {
    let wrong = || Err(format!("told {status} and not of {kind}: {body}"));
    if status == 200 {
        if kind != FaultKind::Interrupted || told::ends_well(recording, body) {
            return wrong();
        }
        let last = events(body).pop().unwrap_or_default();
        let last: Value = serde_json::from_str(&last.1).unwrap_or_default();
        let told = match front {
            Dialect::Responses => &last["response"]["error"]["message"],
            _ => &last["error"]["message"],
        };
        return if told.is_string() { Ok(()) } else { wrong() };
    }
    let own = recording.status();
    let due = match kind {
        FaultKind::Invalid => callers(recording),
        FaultKind::TooLarge | FaultKind::Filtered => 400,
        FaultKind::RateLimited => 429,
        FaultKind::TimedOut => 504,
        FaultKind::Overloaded | FaultKind::QuotaExhausted | FaultKind::Denied => 503,
        _ => 502,
    };
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let attempts = match front {
        Dialect::Anthropic => &json["attempts"],
        _ => &json["error"]["attempts"],
    };
    let told = json["error"]["message"]
        .as_str()
        .is_some_and(|it| !it.is_empty())
        && json["error"]["type"].is_string()
        && is_told(&attempts[0], kind, own);
    if status == due && told {
        Ok(())
    } else {
        wrong()
    }
}

/// The status that tells a caller of its own mistake: the provider's, or the one that it wrote into
/// an answer with another.
fn callers(recording: &Recording) -> u16 {
    let events = events(&recording.body());
    let bodies = events.into_iter().map(|(_, data)| data);
    let bodies = bodies.chain([recording.body()]);
    let told = bodies.filter_map(|body| serde_json::from_str::<Value>(&body).ok());
    let told = told.flat_map(|body| match body {
        Value::Array(list) => list,
        one => vec![one],
    });
    let mut told = told.filter_map(|body| {
        expect_error::status(&body["error"]).or_else(|| expect_error::status(&body))
    });
    let own = Some(recording.status()).filter(|status| *status != 200);
    let status = own.or_else(|| told.next()).unwrap_or(400);
    if (400..500).contains(&status) {
        status
    } else {
        400
    }
}

/// Whether the caller learns what failed. What is its own doing needs no telling of attempts.
fn is_told(attempt: &Value, kind: FaultKind, status: u16) -> bool {
    let callers = [FaultKind::Filtered, FaultKind::Invalid, FaultKind::TooLarge];
    if attempt.is_null() {
        return callers.contains(&kind);
    }
    attempt["fault"] == kind.label() && (status == 200 || attempt["status"] == status)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_means_the_same_through_the_gateway() {
    let all = recordings().into_iter();
    let all = all.filter_map(|it| match it.spoken() {
        Ok(dialect) => Some((it, dialect)),
        Err(reason) => {
            println!("{}: not replayed: {reason}", it.id);
            None
        }
    });
    let results: Vec<_> = stream::iter(all)
        .map(|(recording, dialect)| async move {
            let mut results = Vec::new();
            for front in FRONTS {
                // A gateway each, because some failures open a circuit at once.
                let (address, mut asked) = play(&recording, Cut::Whole).await;
                let model = recording.model();
                let gateway = gateway(dialect, &format!("http://{address}"), &model).await;
                let result = exchange(&recording, dialect, front, &gateway, &mut asked).await;
                results.push((recording.id.clone(), front, result));
            }
            results
        })
        .buffer_unordered(AT_ONCE)
        .concat()
        .await;
    let mut done = BTreeMap::new();
    let mut wrong = Vec::new();
    for (id, front, result) in results {
        match result {
            Ok(how) => *done.entry((front.as_str(), how)).or_insert(0) += 1,
            Err(problem) => wrong.push(format!("{id} by {front}: {problem}")),
        }
    }
    for ((front, how), count) in done {
        println!("{front}: {count} exchanges, {how}");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
