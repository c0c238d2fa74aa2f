//! Our own layers.

use backstop_core::{ServedBy, Stamp};
use backstop_fallback::FallbackLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tower_layer::Layer;

use crate::{
    bare::{Answer, Bare, Call, Down, Up},
    clock::NEVER,
    error::Error,
    row::{Answered, Row},
};

/// A response with a place for the stamp.
pub(super) struct Reply {
    #[expect(dead_code, reason = "nobody reads the answer")]
    answer: u64,
    served_by: Option<ServedBy>,
}

impl Answer for Reply {
    fn answer(call: Call) -> Self {
        Self {
            answer: u64::answer(call),
            served_by: None,
        }
    }
}

impl Stamp for Reply {
    fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = Some(stamp);
    }
}

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Error>::new(Up);
    let down = Bare::<u64, Down, Error>::new(Down);
    let timeout = TimeoutLayer::new().total(NEVER);
    let fallback = FallbackLayer::new(up.clone());
    let served_by = ServedByLayer::new("primary");
    vec![
        Row::new("backstop timeout", timeout.layer(up.clone())),
        Row::new("backstop fallback", fallback.layer(up))
            .failing(Answered::All, fallback.layer(down)),
        Row::new(
            "backstop served-by, typed",
            served_by.layer(Bare::<Reply, Up, Error>::new(Up)),
        ),
        Row::new(
            "backstop served-by, http",
            served_by.layer(Bare::<http::Response<u64>, Up, Error>::new(Up)),
        ),
    ]
}
