//! What is known of one call, told when it is over: to the metrics, to the caller's limits, and in
//! one line of the log.

use std::{fmt, sync::Arc, time::Duration};

use backstop_core::{Fault, FaultKind, Name, ServedBy, Trail};
use backstop_llm::{Chunk, Collector, Completion, Dialect, Error, Event, Usage};
use http::HeaderValue;
use tokio::{sync::Notify, time::Instant};
use tracing::{Span, info};

use crate::{
    callers::{Admitted, Caller},
    gateway::{Running, Shared},
    in_flight::Place,
    ledger,
    stack::{Answers, Question},
    trace,
};

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// With the end of the answer.
    Completed,
    /// With an error, before the answer or in the middle of it.
    Failed(Fault),
    /// The caller left before.
    Left,
}

impl Outcome {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Completed => "ok",
            Self::Failed(fault) => fault.kind().label(),
            Self::Left => "caller_left",
        }
    }
}

/// What is known of one call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Name,
    pub(crate) front: Dialect,
    pub(crate) caller: Option<Arc<Caller>>,
    /// The model's name in the config.
    pub(crate) model: Name,
    pub(crate) streamed: bool,
    pub(crate) started: Instant,
    /// When the answer began.
    pub(crate) answered: Option<Duration>,
    /// What the gateway itself took, before it asked and after.
    pub(crate) overhead: Option<Duration>,
    pub(crate) status: Option<u16>,
    pub(crate) served: Option<ServedBy>,
    pub(crate) trail: Trail,
    pub(crate) usage: Option<Usage>,
    /// The tokens of the request, by an estimate.
    pub(crate) estimated_input: u64,
    pub(crate) outcome: Outcome,
    pub(crate) span: Span,
}

impl Call {
    pub(crate) fn caller(&self) -> String {
        match &self.caller {
            Some(caller) => caller.name.to_string(),
            None => String::new(),
        }
    }

    /// How long who `answered` so long after the call began took for its first content: the
    /// attempts that failed before it, and the waits, are not its doing.
    pub(crate) fn first_token(&self, answered: Duration) -> Duration {
        let attempts = self.trail.attempts().iter();
        let before = attempts.fold(Duration::ZERO, |sum, it| {
            sum.saturating_add(it.wait).saturating_add(it.duration)
        });
        answered.saturating_sub(before)
    }

    /// Notes on the span how the call ended.
    fn close_span(&self) {
        if self.span.is_disabled() {
            return;
        }
        if let Some(usage) = &self.usage {
            trace::usage(&self.span, usage);
        }
        if let Some(status) = self.status {
            self.span.record("http.response.status_code", status);
        }
        if let Some(served) = &self.served {
            self.span
                .record("backstop.served_by", tracing::field::display(served));
        }
        if let (true, Some(first)) = (self.streamed, self.answered) {
            let first = first.as_secs_f64();
            self.span
                .record("gen_ai.response.time_to_first_chunk", first);
        }
        if !matches!(self.outcome, Outcome::Completed) {
            self.span.record("error.type", self.outcome.label());
        }
    }

    /// The status that the caller saw, in one of a few classes.
    pub(crate) const fn status_label(&self) -> &'static str {
        match self.status {
            Some(200..=299) => "2xx",
            Some(429) => "429",
            Some(400..=499) => "4xx",
            Some(500..=599) => "5xx",
            _ => "none",
        }
    }
}

/// An answer that is kept, should it be a good one.
struct Keep {
    answers: Answers,
    question: Question,
    collector: Collector,
}

/// Follows one call to its end, which is told when this is dropped.
pub(crate) struct Account {
    call: Call,
    shared: Arc<Shared>,
    running: Arc<Running>,
    keep: Option<Keep>,
    _admitted: Option<Admitted>,
    _place: Place,
}

impl Account {
    pub(crate) fn open(
        call: Call,
        shared: Arc<Shared>,
        running: Arc<Running>,
        admitted: Option<Admitted>,
        place: Place,
    ) -> Self {
        Self {
            call,
            shared,
            running,
            keep: None,
            _admitted: admitted,
            _place: place,
        }
    }

    pub(crate) fn call_mut(&mut self) -> &mut Call {
        &mut self.call
    }

    /// What tells that the gateway can't wait any longer for the end.
    pub(crate) fn stopping(&self) -> Arc<Notify> {
        self.shared.stopping.clone()
    }

    /// What callers are told of a lesser answer by this candidate.
    pub(crate) fn degraded(&self, candidate: &str) -> Option<HeaderValue> {
        let model = self.running.config.models.get(&*self.call.model)?;
        let candidate = model.candidates.iter().find(|it| *it.name == *candidate)?;
        HeaderValue::try_from(candidate.degraded.as_ref()?).ok()
    }

    /// The answer begins.
    pub(crate) fn answered(&mut self, served: Option<&ServedBy>, status: u16) {
        self.call.answered = Some(self.call.started.elapsed());
        self.call.served = served.cloned();
        self.call.status = Some(status);
    }

    /// A piece of the answer came.
    pub(crate) fn chunk(&mut self, chunk: &Chunk) {
        if let Some(keep) = &mut self.keep {
            for event in &chunk.events {
                keep.collector.push(event.clone());
            }
        }
        if let Some(served) = &chunk.served {
            self.call.served = Some(served.clone());
            self.call.trail = served.trail.clone();
        }
        for event in &chunk.events {
            if let Event::Usage(usage) = event {
                self.call.usage = Some(*usage);
            }
        }
    }

    /// The whole answer came at once.
    pub(crate) fn whole(&mut self, completion: &Arc<Completion>) {
        self.call.usage = completion.usage;
        if let Some(keep) = self.keep.take().filter(|_| self.is_good()) {
            keep.answers.keep(keep.question, completion.clone());
        }
        self.completed();
    }

    /// Keeps the answer here, should it be a good one.
    pub(crate) fn keep_in(&mut self, answers: Answers, question: Question) {
        self.keep = Some(Keep {
            answers,
            question,
            collector: Collector::new(),
        });
    }

    /// Whether the answer is no lesser one.
    fn is_good(&self) -> bool {
        !self
            .call
            .served
            .as_ref()
            .is_some_and(|served| served.degraded)
    }

    /// The answer has come to its end.
    pub(crate) fn completed(&mut self) {
        if let Some(keep) = self.keep.take().filter(|_| self.is_good()) {
            let completion = Arc::new(keep.collector.finish());
            keep.answers.keep(keep.question, completion);
        }
        self.call.outcome = Outcome::Completed;
    }

    /// There is no answer, or no more of it.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.call.outcome = Outcome::Failed(error.fault());
        self.call.usage = error.usage().or(self.call.usage);
        if let Some(served) = error.served_by() {
            self.call.served = Some(served.clone());
        }
    }

    /// The caller is answered with an error.
    pub(crate) fn refused(mut self, error: &Error, status: u16) {
        self.call.status = Some(status);
        self.failed(error);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let call = &self.call;
        if let (Some(caller), Some(usage)) = (&call.caller, &call.usage) {
            caller.used(usage.total());
        }
        call.close_span();
        let ledger = ledger::entries(call, &self.running.config);
        let cost: f64 = ledger.iter().filter_map(|entry| entry.cost).sum();
        self.shared.metrics.call(call, &ledger);
        self.shared.stats.call(call);
        self.running.alerts.call(call.outcome, cost);
        let usage = call.usage.unwrap_or_default();
        info!(
            target: "backstop::call",
            request_id = &*call.id,
            caller = call.caller.as_ref().map(|caller| &*caller.name),
            front = call.front.as_str(),
            model = &*call.model,
            streamed = call.streamed,
            outcome = call.outcome.label(),
            status = call.status,
            served_by = call.served.as_ref().map(tracing::field::display),
            failed = (!call.trail.is_empty()).then(|| tracing::field::display(&call.trail)),
            first_ms = call.answered.map(|it| it.as_millis() as u64),
            total_ms = call.started.elapsed().as_millis() as u64,
            input_tokens = usage.input,
            output_tokens = usage.output,
            cost = (cost > 0.0).then_some(cost),
            attempts = tracing::field::display(Attempts(&ledger)),
        );
    }
}

/// The accounts of attempts, for a line of the log:
/// `openai:gpt-5.5 timed_out 30000ms billed=unknown`.
struct Attempts<'a>(&'a [ledger::Entry]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, entry) in self.0.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            write!(
                f,
                "{separator}{} {} {}ms tokens={}+{} billed={}",
                entry.candidate,
                entry.fault.map_or("ok", FaultKind::label),
                entry.duration.as_millis(),
                entry.usage.input,
                entry.usage.output,
                entry.billed.label(),
            )?;
            if let Some(cost) = entry.cost {
                write!(f, " cost={cost:.6}")?;
            }
        }
        Ok(())
    }
}
