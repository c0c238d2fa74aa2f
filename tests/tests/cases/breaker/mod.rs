//! Circuit breakers, their windows and what they tell.

mod defects;
mod kept;
mod settings;
mod steps;
mod subject;
mod tables;

pub(crate) use self::kept::registry;
use crate::{
    file::Case,
    outcome::{Replay, differs, unknown},
};

pub(crate) fn replay(case: &Case) -> Replay {
    match case.model.as_str() {
        "accrual" => {
            return differs("an open wait grows by a factor up to a cap here, not by a list");
        }
        "accrual-ema" => {
            return differs("a failure rate is exact here, over a window; it is no moving average");
        }
        "config-valid" => return tables::config(case),
        "open-duration" => return tables::open_waits(case),
        "predicate" => return tables::predicate(case),
        "snapshot" => return kept::snapshots(case),
        "state-table" => return tables::states(case),
        "rate-window-simple" | "success-rate-window" | "threshold" => {
            return tables::sequences(case);
        }
        "consecutive" | "consecutive-cb" | "count-rate" | "count-window" | "gobreaker"
        | "half-open-sampling" | "manual" | "rate-window" | "regression" | "time-window" => {}
        model => return unknown(format!("model {model:?} of {}", case.layer)),
    }
    if case.steps.is_empty() {
        return match case.model.as_str() {
            "regression" => defects::replay(case),
            "rate-window" => tables::legal(case),
            _ => unknown(format!("rows of model {:?}", case.model)),
        };
    }
    crate::paused(async {
        let settings = settings::Settings::of(case)?;
        steps::replay(case, settings).await
    })
}
