//! What came of replaying a case.

/// Why a case was not replayed to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Our rule is another one, by design.
    Differs(String),
    /// We have nothing that the case is about.
    NotApplicable(String),
    /// A word of the file that nothing here understands.
    Unknown(String),
    /// Something else came out than the case expects.
    Failed(String),
}

impl Stop {
    /// Says where in the case it was.
    pub(crate) fn at(self, place: &str) -> Self {
        let with = |what| format!("{place}: {what}");
        match self {
            Self::Failed(what) => Self::Failed(with(what)),
            Self::Unknown(what) => Self::Unknown(with(what)),
            other => other,
        }
    }
}

pub(crate) type Replay<T = ()> = Result<T, Stop>;

/// What came out is not what was expected.
pub(crate) fn failed<T>(what: impl Into<String>) -> Replay<T> {
    Err(Stop::Failed(what.into()))
}

/// The file says something that nothing here understands.
pub(crate) fn unknown<T>(what: impl Into<String>) -> Replay<T> {
    Err(Stop::Unknown(what.into()))
}

/// Our rule is another one, by design.
pub(crate) fn differs<T>(why: impl Into<String>) -> Replay<T> {
    Err(Stop::Differs(why.into()))
}

/// Checks that `got` is what was expected.
pub(crate) fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Replay {
    if got == want {
        Ok(())
    } else {
        failed(format!("{what}: got {got:?}, expected {want:?}"))
    }
}

/// A failure is a difference by design, for this reason.
pub(crate) fn differing(why: &str, outcome: Replay) -> Replay {
    match outcome {
        Err(Stop::Failed(_)) => differs(why),
        outcome => outcome,
    }
}
