//! All rows, in the order of the tables.

mod backstop;
mod circuits;
mod others;
mod resilience;
mod stacks;
mod tower;

pub(crate) use self::circuits::circuits;

use crate::{
    bare::{Bare, Down, Up},
    row::Row,
};

/// The rows whose name has `filter` in it.
pub(crate) fn rows(filter: &str) -> Vec<Row> {
    let bare = vec![
        Row::new("bare service", Bare::<u64, Up, Down>::new(Up)),
        Row::new(
            "bare service, typed",
            Bare::<backstop::Reply, Up, Down>::new(Up),
        ),
        Row::new(
            "bare service, http",
            Bare::<http::Response<u64>, Up, Down>::new(Up),
        ),
    ];
    let mut rows: Vec<Row> = [
        bare,
        backstop::rows(),
        tower::rows(),
        resilience::rows(),
        others::rows(),
        backstop::stacks(),
        stacks::rows(),
    ]
    .into_iter()
    .flatten()
    .collect();
    rows.retain(|row| row.name.contains(filter));
    rows
}
