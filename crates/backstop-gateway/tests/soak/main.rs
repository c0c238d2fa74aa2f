//! The program under steady load for a long time, with faults that are switched every few seconds:
//! nothing is lost or truncated, nothing grows, and what is counted adds up.
//!
//! It takes as many seconds as `BACKSTOP_SOAK_SECONDS` says.

#[path = "../common/fronts.rs"]
mod fronts;
mod load;
#[path = "../common/program.rs"]
mod program;
mod told;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use backstop_simulator::{Dialect, Fault, Reply, Simulator};
use reqwest::Client;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    fronts::FRONTS,
    load::Load,
    program::{Held, Program},
    told::Told,
};

/// What every provider says, so that an answer that several gave together can be checked too.
pub(crate) const TEXT: &str =
    "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen.";

/// How long each fault lasts.
const PHASE: Duration = Duration::from_secs(2);

/// How many calls are made at a time.
const WORKERS: usize = 8;

/// The config is read anew once in so many phases, and a line tells how it goes.
const RELOAD: usize = 4;

/// Nothing that is waited for at the end takes this long unless something is broken.
const BOUND: Duration = Duration::from_secs(60);

/// More than a healthy answer takes on a busy machine, and not too long to wait for what hangs.
const LIMIT: &str = "2s";

/// Every way to fail that a provider has, and some time of health between them.
fn faults() -> Vec<Option<Fault>> {
    let soon = Duration::from_millis(100);
    vec![
        Some(Fault::overloaded()),
        Some(Fault::cut(3)),
        None,
        Some(Fault::hang()),
        Some(Fault::reset()),
        None,
        Some(Fault::stall(3)),
        Some(Fault::unavailable().probability(0.3, 7)),
        Some(Fault::html()),
        None,
        Some(Fault::error_event(2)),
        Some(Fault::rate_limited(Duration::from_secs(1))),
        Some(Fault::denied()),
        Some(Fault::pings(3, soon)),
        None,
        Some(Fault::reset_after(4)),
        Some(Fault::empty()),
    ]
}

/// The first fails, the second fails at other times, and the third does not.
struct Outage([Simulator; 3]);

impl Outage {
    async fn prepare() -> Self {
        let simulator = async |dialect| {
            let builder = Simulator::builder(dialect).reply(Reply::text(TEXT));
            let started = builder.log_capacity(0).start().await;
            started.expect("a port is free")
        };
        Self([
            simulator(Dialect::Anthropic).await,
            simulator(Dialect::Gemini).await,
            simulator(Dialect::OpenAi).await,
        ])
    }

    fn config(&self) -> String {
        let [a, b, c] = self.0.each_ref().map(Simulator::base_url);
        format!(
            r#"
[providers.anthropic]
dialect = "anthropic"
base_url = "{a}"
[providers.gemini]
dialect = "gemini"
base_url = "{b}"
[providers.openai]
dialect = "openai"
base_url = "{c}"
[models.smart]
candidates = ["anthropic:a-1", "gemini:b-1", "openai:c-1"]
retry = {{ attempts = 2, base = "10ms" }}
breaker = {{ open_for = "1s" }}
timeout = {{ first_token = "{LIMIT}", answer = "{LIMIT}", idle = "{LIMIT}", total = "60s" }}
"#
        )
    }

    fn phase(&self, number: usize) {
        let faults = faults();
        let at = |place: usize| faults[place % faults.len()].clone();
        // The two go through the same faults at different speeds, and so meet in every pair.
        set(&self.0[0], at(number));
        set(&self.0[1], at(5 * number + number / faults.len() + 2));
    }

    /// Only this one answers, and all after it.
    fn all_before_fail(&self, place: usize) {
        for (i, simulator) in self.0.iter().enumerate() {
            set(simulator, (i < place).then(Fault::unavailable));
        }
    }
}

fn set(simulator: &Simulator, fault: Option<Fault>) {
    match fault {
        Some(fault) => simulator.fault(fault),
        None => simulator.clear(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_grows() {
    let seconds = std::env::var("BACKSTOP_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(24, |it| it.parse().expect("it is a number of seconds"));
    let outage = Outage::prepare().await;
    let directory = tempfile::tempdir().expect("it can be made");
    let config = directory.path().join("backstop.toml");
    std::fs::write(&config, outage.config()).expect("it can be written");
    let program = Program::start(&config).await;
    let client = Client::new();
    let idle = program.held();

    let load = Load::start(&program.url(""), WORKERS);
    let began = Instant::now();
    let mut held = Vec::new();
    for number in 0.. {
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
        outage.phase(number);
        sleep(PHASE).await;
        held.extend(program.held());
        if number % RELOAD == RELOAD - 1 {
            let reloaded = client.post(program.url("/admin/reload")).send().await;
            assert!(reloaded.expect("an answer comes").status().is_success());
            let (took, calls, now) = (began.elapsed(), load.counts.all(), held.last());
            println!("{:>5} s {calls:>8} calls, {now:?}", took.as_secs());
        }
    }
    let counts = load.stop().await;
    let more = mended(&outage, &program, &client).await;

    let wrong = counts.told.lock().expect("nobody panicked").join("\n");
    assert_eq!(counts.wrong.load(Relaxed), 0, "{wrong}");
    let told = settled(&program, &client).await;
    let whole = counts.whole.load(Relaxed) + more;
    adds_up(&told, whole, counts.left.load(Relaxed));
    let over = program.held();
    println!("{counts:?}\nidle {idle:?}\nover {over:?}");
    is_flat(&held);
    if let (Some(idle), Some(over)) = (idle, over) {
        // Each worker may have left one idle connection to each provider.
        let files = idle.files + 4 * WORKERS as u64 + 8;
        assert!(over.files <= files, "{over:?} after {idle:?}");
    }
    assert!(program.stop().await.success());
}

/// Lets each candidate serve again, the last first, so that no circuit is left as it was. Says how
/// many calls that took.
async fn mended(outage: &Outage, program: &Program, client: &Client) -> u64 {
    let mut calls = 0;
    let all = ["anthropic:a-1", "gemini:b-1", "openai:c-1"];
    for (place, name) in all.iter().enumerate().rev() {
        outage.all_before_fail(place);
        let serves = async {
            loop {
                calls += 1;
                if asked(program, client).await == *name {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let serves = timeout(BOUND, serves).await;
        assert!(serves.is_ok(), "{name} does not serve again");
    }
    calls
}

/// Who serves a plain call.
async fn asked(program: &Program, client: &Client) -> String {
    let asked = client.post(program.url(FRONTS[0].path));
    let asked = asked
        .body(FRONTS[0].body("Count.").to_string())
        .send()
        .await;
    let answer = asked.expect("an answer comes");
    let by = answer.headers().get("x-served-by").cloned();
    let body = answer.text().await.expect("it comes to its end");
    let by = by.unwrap_or_else(|| panic!("nobody served: {body}"));
    by.to_str().expect("it is text").to_owned()
}

/// What is told when nothing is running any more.
async fn settled(program: &Program, client: &Client) -> Told {
    let settled = async {
        loop {
            let told = Told::by(client, &program.url("/metrics")).await;
            if told.sum("backstop_requests_in_flight", "") == 0.0 {
                return told;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(BOUND, settled).await.expect("all calls are over")
}

fn adds_up(told: &Told, whole: u64, left: u64) {
    let all = (whole + left) as f64;
    assert!(all > 0.0);
    for name in [
        "backstop_requests_total",
        "backstop_request_duration_seconds_count",
        "backstop_overhead_seconds_count",
    ] {
        assert_eq!(told.sum(name, ""), all, "{name}");
    }
    let outcome = |name, outcome| told.sum(name, &format!("outcome=\"{outcome}\""));
    let requests = "backstop_requests_total";
    let (ok, away) = (outcome(requests, "ok"), outcome(requests, "caller_left"));
    // Who leaves may have been sent all of a short answer already.
    assert!(ok >= whole as f64 && ok + away == all, "{ok} and {away}");
    assert_eq!(outcome("backstop_attempts_total", "ok"), all);
    assert_eq!(told.sum("backstop_requests_in_flight", ""), 0.0);
    let open = told.not_zero("backstop_circuit_state");
    assert!(open.is_empty(), "{open:?}");
}

/// What is held does not grow: the end is like the time after the start.
fn is_flat(held: &[Held]) {
    let part = |number: usize, of: fn(&Held) -> u64| {
        let quarter = held.len() / 4;
        let mut part: Vec<u64> = held[number * quarter..][..quarter].iter().map(of).collect();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    let (before, after) = (part(1, |it| it.memory), part(3, |it| it.memory));
    let most = before + before / 10 + 4 * 1024;
    assert!(after <= most, "{before} KiB have become {after} KiB");
    let (before, after) = (part(1, |it| it.files), part(3, |it| it.files));
    let most = before + 3 * WORKERS as u64;
    assert!(after <= most, "{before} files have become {after}");
}
