//! What is known of one call while it runs.

use std::sync::Arc;

use backstop_core::ServedBy;
use backstop_llm::{Chunk, Collector, Completion, Error, Event};
use http::HeaderValue;
use tokio::{sync::Notify, time::Instant};

use crate::{
    call::{Call, Outcome},
    callers::Admitted,
    content::{self, Content},
    gateway::{Running, Shared},
    in_flight::Place,
    stack::{Answers, Question},
    untold::Ended,
};

/// An answer that is kept, should it be a good one.
struct Keep {
    answers: Answers,
    question: Question,
    collector: Collector,
}

/// Follows one call to its end, which is when this is dropped: what it has used is taken off its
/// caller's limits then, and it is told of once its answer has been written.
pub(crate) struct Account {
    /// There until it is dropped.
    call: Option<Box<Call>>,
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
            call: Some(Box::new(call)),
            shared,
            running,
            keep: None,
            _admitted: admitted,
            _place: place,
        }
    }

    fn call(&self) -> &Call {
        self.call.as_ref().expect("it is there until the end")
    }

    pub(crate) fn call_mut(&mut self) -> &mut Call {
        self.call.as_mut().expect("it is there until the end")
    }

    /// What tells that the gateway can't wait any longer for the end.
    pub(crate) fn stopping(&self) -> Arc<Notify> {
        self.shared.stopping.clone()
    }

    /// What callers are told of a lesser answer by this candidate.
    pub(crate) fn degraded(&self, candidate: &str) -> Option<HeaderValue> {
        let model = self.running.config.models.get(&*self.call().model)?;
        let candidate = model.candidates.iter().find(|it| *it.name == *candidate)?;
        HeaderValue::try_from(candidate.degraded.as_ref()?).ok()
    }

    /// The answer begins at this time.
    pub(crate) fn answered(&mut self, served: Option<&ServedBy>, status: u16, at: Instant) {
        let call = self.call_mut();
        call.answered = Some(at.saturating_duration_since(call.started));
        call.served = served.cloned();
        call.status = Some(status);
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
        let call = self.call_mut();
        if let Some(served) = &chunk.served {
            if let Some(before) = &call.served {
                let by = before.continued_by.last().unwrap_or(&before.name).clone();
                call.parts.broke_off(by, call.estimated_input);
            }
            call.served = Some(served.clone());
            call.trail = served.trail.clone();
        }
        for event in &chunk.events {
            match event {
                Event::Usage(usage) => {
                    call.usage = Some(*usage);
                    call.parts.usage(*usage);
                }
                Event::Text { delta, .. } => call.parts.text(delta),
                Event::Start { model, .. } => call.note_model(model),
                _ => {}
            }
        }
    }

    /// The whole answer came at once.
    pub(crate) fn whole(&mut self, completion: &Arc<Completion>) {
        let call = self.call_mut();
        call.usage = completion.usage;
        call.note_model(&completion.model);
        if self.content.take().is_some() {
            content::answered(&self.call().id, completion);
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
        let served = self.call().served.as_ref();
        !served.is_some_and(|served| served.degraded)
    }

    /// The answer has come to its end.
    pub(crate) fn completed(&mut self) {
        if let Some(keep) = self.keep.take().filter(|_| self.is_good()) {
            let completion = Arc::new(keep.collector.finish());
            keep.answers.keep(keep.question, completion);
        }
        self.call_mut().outcome = Outcome::Completed;
    }

    /// There is no answer, or no more of it.
    pub(crate) fn failed(&mut self, error: &Error) {
        let call = self.call_mut();
        call.outcome = Outcome::Failed(error.fault());
        call.usage = error.usage().or(call.usage);
        if let Some(served) = error.served_by() {
            call.served = Some(served.clone());
        }
    }

    /// The caller is answered with an error.
    pub(crate) fn refused(mut self, error: &Error, status: u16) {
        self.call_mut().status = Some(status);
        self.failed(error);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(content) = self.content.take() {
            content.finish();
        }
        let Some(mut call) = self.call.take() else {
            return;
        };
        call.taken = call.started.elapsed();
        if let Some(caller) = &call.caller {
            caller.used(call.tokens_used());
        }
        call.end_span();
        let running = self.running.clone();
        self.shared.untold.add(Ended { call, running });
    }
}
