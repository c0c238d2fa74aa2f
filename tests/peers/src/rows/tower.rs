//! tower's own layers.

use std::{future, sync::Arc};

use backstop_core::ServedBy;
use tower::{
    limit::ConcurrencyLimit,
    load_shed::LoadShed,
    retry::{
        Policy, Retry,
        budget::{Budget, TpsBudget},
    },
    timeout::Timeout,
    util::MapResponse,
};

use crate::{
    bare::{Bare, Down, Flaky, Up},
    clock::NEVER,
    row::{Answered, Row},
};

/// Up to two more attempts, at once.
#[derive(Clone)]
pub(super) struct AtOnce(pub(super) u8);

impl<Req: Clone, Res, E> Policy<Req, Res, E> for AtOnce {
    type Future = future::Ready<()>;

    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Self::Future> {
        if result.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(future::ready(()))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

/// The same within a budget.
#[derive(Clone)]
struct Within(AtOnce, Arc<TpsBudget>);

impl<Req: Clone, Res, E> Policy<Req, Res, E> for Within {
    type Future = future::Ready<()>;

    fn retry(&mut self, request: &mut Req, result: &mut Result<Res, E>) -> Option<Self::Future> {
        if result.is_ok() {
            self.1.deposit();
            return None;
        }
        self.1.withdraw().then_some(())?;
        self.0.retry(request, result)
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Down>::new(Up);
    let flaky = Bare::<u64, Flaky, Down>::new(Flaky::new());
    let within = Within(AtOnce(2), Arc::new(TpsBudget::default()));
    let http = Bare::<http::Response<u64>, Up, Down>::new(Up);
    let stamp = ServedBy::new("primary".into());
    let extend = move |mut response: http::Response<u64>| {
        response.extensions_mut().insert(stamp.clone());
        response
    };
    vec![
        Row::new("tower timeout", Timeout::new(up.clone(), NEVER)),
        Row::new("tower retry", Retry::new(AtOnce(2), up.clone()))
            .failing(Answered::All, Retry::new(AtOnce(2), flaky)),
        Row::new("tower retry + TpsBudget", Retry::new(within, up.clone())),
        Row::new("tower load_shed", LoadShed::new(up.clone())),
        Row::refusing(
            "tower load_shed, concurrency_limit",
            LoadShed::new(ConcurrencyLimit::new(up, 0)),
        ),
        Row::new(
            "tower map_response, http extension",
            MapResponse::new(http, extend),
        ),
    ]
}
