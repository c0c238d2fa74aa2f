//! What is known of one call is told when it is over: to the metrics, to the caller's limits, and in
//! one line of the log.

use std::sync::Arc;

use backstop_core::ServedBy;
use backstop_llm::{Chunk, Collector, Completion, Error, Event};
use http::HeaderValue;
use tokio::{sync::Notify, time::Instant};
use tracing::info;

use crate::{
    call::{Call, Outcome},
    callers::Admitted,
    content::{self, Content},
    gateway::{Running, Shared},
    in_flight::Place,
    ledger, log,
    stack::{Answers, Question},
};

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
    /// Where the operator wants to read it.
    content: Option<Box<Content>>,
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
        let logged = running.config.log_content;
        Self {
            content: logged.then(|| Box::new(Content::new(call.id.clone()))),
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

    /// The answer begins at this time.
    pub(crate) fn answered(&mut self, served: Option<&ServedBy>, status: u16, at: Instant) {
        self.call.answered = Some(at.saturating_duration_since(self.call.started));
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
        if let Some(content) = &mut self.content {
            chunk.events.iter().for_each(|event| content.push(event));
        }
        if let Some(served) = &chunk.served {
            if let Some(before) = &self.call.served {
                let by = before.continued_by.last().unwrap_or(&before.name).clone();
                self.call.parts.broke_off(by, self.call.estimated_input);
            }
            self.call.served = Some(served.clone());
            self.call.trail = served.trail.clone();
        }
        for event in &chunk.events {
            match event {
                Event::Usage(usage) => {
                    self.call.usage = Some(*usage);
                    self.call.parts.usage(*usage);
                }
                Event::Text { delta, .. } => self.call.parts.text(delta),
                Event::Start { model, .. } => self.call.note_model(model),
                _ => {}
            }
        }
    }

    /// The whole answer came at once.
    pub(crate) fn whole(&mut self, completion: &Arc<Completion>) {
        self.call.usage = completion.usage;
        self.call.note_model(&completion.model);
        if self.content.take().is_some() {
            content::answered(&self.call.id, completion);
        }
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
        if let Some(content) = self.content.take() {
            content.finish();
        }
        self.call.taken = self.call.started.elapsed();
        let call = &self.call;
        if let Some(caller) = &call.caller {
            caller.used(call.tokens_used());
        }
        call.close_span();
        let ledger = ledger::entries(call, &self.running.config);
        let cost: f64 = ledger.iter().filter_map(|entry| entry.cost).sum();
        let config = &self.running.config;
        self.shared.metrics.call(call, &ledger, &config.currency);
        self.shared.stats.call(call);
        self.running.alerts.call(call.outcome, cost);
        info!(
            target: log::CALL,
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
            total_ms = call.taken.as_millis() as u64,
            input_tokens = call.usage.map(|usage| usage.input),
            output_tokens = call.usage.map(|usage| usage.output),
            cost = (cost > 0.0).then_some(ledger::readable(cost)),
            attempts = tracing::field::display(ledger::Line(&ledger)),
        );
    }
}
