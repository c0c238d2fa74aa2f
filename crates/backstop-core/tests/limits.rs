//! Limits of all kinds inside each other, against a plain stack of them.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use backstop_core::{
    Deadline,
    context::{self, Captured, Due},
};
use proptest::prelude::*;
use tokio::time::Instant;

/// How long the limits are, in seconds: one limit is none, and one is on the clock from the start.
const LIMITS: [Option<u64>; 6] = [Some(1), Some(3), Some(3), Some(9), Some(30), None];
const ON_THE_CLOCK: usize = 4;

/// What is done inside whatever has been entered.
#[derive(Clone, Debug)]
enum Step {
    Ask,
    PassASecond,
    Panic,
    Catch(Vec<Self>),
    /// One of the limits, unless it has been entered further out.
    Limit(usize, Vec<Self>),
    /// A deadline so many seconds from the start.
    Deadline(u64, Vec<Self>),
    /// What the call carries now, or what was carried outside any call.
    Captured(bool, Vec<Self>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        4 => Just(Step::Ask),
        4 => Just(Step::PassASecond),
        1 => Just(Step::Panic),
    ];
    let step = leaf.prop_recursive(6, 64, 4, |step| {
        let inner = || prop::collection::vec(step.clone(), 0..4);
        prop_oneof![
            6 => (0..LIMITS.len(), inner()).prop_map(|(which, inner)| Step::Limit(which, inner)),
            1 => (0u64..20, inner()).prop_map(|(at, inner)| Step::Deadline(at, inner)),
            1 => (any::<bool>(), inner()).prop_map(|(now, inner)| Step::Captured(now, inner)),
            1 => inner().prop_map(Step::Catch),
        ]
    });
    prop::collection::vec(step, 0..6)
}

#[derive(Clone, Copy)]
enum Frame {
    Limit(usize),
    /// On the clock, in seconds from the start; or no deadline at all.
    Fixed(Option<u64>),
}

/// The limits and, beside them, what is expected of them.
struct Run {
    start: Instant,
    seconds: Cell<u64>,
    dues: [RefCell<Due>; LIMITS.len()],
    placed: [Cell<Option<u64>>; LIMITS.len()],
    bare: Captured,
}

impl Run {
    fn new() -> Self {
        let start = Instant::now();
        let within = |limit: Option<u64>| match limit {
            Some(seconds) => Due::within(Duration::from_secs(seconds)),
            None => Due::NEVER,
        };
        let mut dues = LIMITS.map(within);
        dues[ON_THE_CLOCK].place(|| start);
        let placed = [const { Cell::new(None) }; LIMITS.len()];
        placed[ON_THE_CLOCK].set(LIMITS[ON_THE_CLOCK]);
        Self {
            start,
            seconds: Cell::new(0),
            dues: dues.map(RefCell::new),
            placed,
            bare: Captured::now(),
        }
    }

    fn at(&self, seconds: u64) -> Deadline {
        Deadline::after(self.start, Duration::from_secs(seconds))
    }

    /// Does something at the present second.
    fn now<R>(&self, f: impl FnOnce() -> R) -> R {
        let _now = context::enter_now(self.at(self.seconds.get()).instant());
        f()
    }

    /// What is on the clock inside `frame`, without asking for it.
    fn on_the_clock(&self, frame: Frame) -> Option<u64> {
        match frame {
            Frame::Limit(which) => self.placed[which].get(),
            Frame::Fixed(at) => at,
        }
    }

    /// The deadline expected inside `frame`: to ask for it begins its time.
    fn expected(&self, frame: Frame) -> Option<u64> {
        if let (Frame::Limit(which), None) = (frame, self.on_the_clock(frame)) {
            let limit = LIMITS[which].map(|limit| self.seconds.get() + limit);
            self.placed[which].set(limit);
        }
        self.on_the_clock(frame)
    }

    /// Asks for the deadline inside `frame`.
    fn ask(&self, frame: Frame) -> Option<u64> {
        let expected = self.expected(frame);
        let deadline = self.now(context::deadline);
        assert_eq!(deadline, expected.map(|at| self.at(at)));
        expected
    }

    fn all(&self, frame: Frame, steps: &[Step]) {
        for step in steps {
            self.one(frame, step);
            // Whatever has been done, and undone by a panic maybe, all is as it was.
            let is_limited = !matches!(frame, Frame::Fixed(None));
            assert_eq!(Due::is_of_the_call(), is_limited);
            let known = self.now(Due::of_the_call).deadline();
            assert_eq!(known, self.on_the_clock(frame).map(|at| self.at(at)));
        }
    }

    fn one(&self, frame: Frame, step: &Step) {
        match step {
            Step::Ask => {
                self.ask(frame);
            }
            Step::PassASecond => self.seconds.set(self.seconds.get() + 1),
            Step::Panic => resume_unwind(Box::new("a step")),
            Step::Catch(inner) => {
                let result = catch_unwind(AssertUnwindSafe(|| self.all(frame, inner)));
                // An assertion that failed is no step.
                if let Err(panic) = result {
                    if panic.downcast_ref() != Some(&"a step") {
                        resume_unwind(panic);
                    }
                }
            }
            Step::Limit(which, inner) => self.limit(frame, *which, inner),
            Step::Deadline(at, inner) => {
                let tightest = self.expected(frame).map_or(*at, |outer| outer.min(*at));
                let _deadline = self.now(|| context::enter_deadline(self.at(*at)));
                self.all(Frame::Fixed(Some(tightest)), inner);
            }
            Step::Captured(false, inner) => {
                self.bare.run(|| self.all(Frame::Fixed(None), inner));
            }
            Step::Captured(true, inner) => {
                let carried = Frame::Fixed(self.expected(frame));
                let captured = self.now(Captured::now);
                captured.run(|| self.all(carried, inner));
            }
        }
    }

    fn limit(&self, outer: Frame, which: usize, inner: &[Step]) {
        let Ok(mut due) = self.dues[which].try_borrow_mut() else {
            return;
        };
        let frame = match (LIMITS[which], self.placed[which].get()) {
            (None, _) => outer,
            // What is on the clock puts what is inside it there too, and no later.
            (Some(limit), None) => {
                let begins = self.seconds.get() + limit;
                let own = self.on_the_clock(outer).map(|outer| outer.min(begins));
                self.placed[which].set(own);
                Frame::Limit(which)
            }
            (Some(_), Some(_)) => Frame::Limit(which),
        };
        let _time = self.now(|| due.enter());
        self.all(frame, inner);
    }
}

proptest! {
    #[test]
    fn limits_nest_like_a_stack_of_them(steps in steps()) {
        let run = Run::new();
        let all = Frame::Fixed(None);
        run.one(all, &Step::Catch(steps));
        run.ask(all);
        for (due, placed) in run.dues.iter().zip(&run.placed) {
            let placed = placed.get().map(|at| run.at(at));
            prop_assert_eq!(due.borrow().deadline(), placed);
        }
    }
}
