//! A row of the tables: one service, and the ways a call can take through it.

use std::{
    future::poll_fn,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tower_service::Service;

use crate::bare::Call;

/// The way of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    /// The service answers at the first poll.
    Ready,
    /// The service is pending once and answers at the second poll.
    Pending,
    /// A layer refuses the call without asking the service, or passes over it.
    Rejected,
    /// The service fails: every second time, or the first of two candidates every time.
    Failing,
}

impl Path {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Failing => "failing",
        }
    }
}

/// How many calls come to a good end: a case that measures anything else than it says is a bug.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answered {
    All,
    Half,
    None,
}

impl Answered {
    fn of(self, calls: u64) -> u64 {
        match self {
            Self::All => calls,
            Self::Half => calls / 2,
            Self::None => 0,
        }
    }
}

/// One way through one service.
pub(crate) struct Case {
    pub(crate) path: Path,
    answered: Answered,
    drive: Box<dyn FnMut(u64) -> u64>,
}

impl Case {
    /// Makes this many calls, an even number.
    pub(crate) fn run(&mut self, calls: u64) {
        let answered = (self.drive)(calls);
        let expected = self.answered.of(calls);
        assert_eq!(answered, expected, "answered on the path {:?}", self.path);
    }
}

/// One service.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The size of the service, and of its future.
    pub(crate) sizes: (usize, usize),
    pub(crate) cases: Vec<Case>,
}

impl Row {
    fn empty<S: Service<Call>>(name: &'static str, _: &S) -> Self {
        Self {
            name,
            sizes: (size_of::<S>(), size_of::<S::Future>()),
            cases: Vec::new(),
        }
    }

    /// A service that answers every call, at once or after a pause.
    pub(crate) fn new<S: Service<Call> + Clone + 'static>(name: &'static str, service: S) -> Self {
        Self::empty(name, &service)
            .case(Path::Ready, Answered::All, service.clone())
            .case(Path::Pending, Answered::All, service)
    }

    /// A service that is only measured where it refuses.
    pub(crate) fn refusing<S: Service<Call> + 'static>(name: &'static str, service: S) -> Self {
        Self::empty(name, &service).case(Path::Rejected, Answered::None, service)
    }

    /// The same service after this many calls: what a call costs must not grow.
    pub(crate) fn worn<S: Service<Call> + Clone + 'static>(
        name: &'static str,
        calls: u64,
        mut service: S,
    ) -> Self {
        drive(&mut service, false, calls);
        Self::new(name, service)
    }

    /// The same layers, made so that they refuse. They are called this often beforehand, to see
    /// the failures that make them do so.
    pub(crate) fn rejected<S: Service<Call> + 'static>(
        self,
        trip: u64,
        answered: Answered,
        mut service: S,
    ) -> Self {
        drive(&mut service, false, trip);
        self.case(Path::Rejected, answered, service)
    }

    /// The same layers over a service that fails.
    pub(crate) fn failing<S: Service<Call> + 'static>(
        self,
        answered: Answered,
        service: S,
    ) -> Self {
        self.case(Path::Failing, answered, service)
    }

    fn case<S: Service<Call> + 'static>(
        mut self,
        path: Path,
        answered: Answered,
        mut service: S,
    ) -> Self {
        self.cases.push(Case {
            path,
            answered,
            drive: Box::new(move |calls| drive(&mut service, path == Path::Pending, calls)),
        });
        self
    }
}

/// Makes this many calls and says how many were answered.
///
/// The calls are awaited in turn, as a task would, but the task is polled by hand until it is done:
/// no executor's cost is mixed in, and tokio's cooperative budget, which belongs to its own tasks,
/// never runs out.
pub(crate) fn drive<S: Service<Call>>(service: &mut S, pends: bool, calls: u64) -> u64 {
    let mut task = pin!(call(service, pends, calls));
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answered) = task.as_mut().poll(&mut cx) {
            return answered;
        }
    }
}

async fn call<S: Service<Call>>(service: &mut S, pends: bool, calls: u64) -> u64 {
    let mut answered = 0;
    for id in 0..calls {
        let is_ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
        let result = service.call(black_box(Call::new(id, pends))).await;
        answered += u64::from(is_ready & black_box(result).is_ok());
    }
    answered
}
