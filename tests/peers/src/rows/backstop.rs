//! Our own layers.

use backstop_timeout::TimeoutLayer;
use tower_layer::Layer;

use crate::{
    bare::{Bare, Up},
    clock::NEVER,
    error::Error,
    row::Row,
};

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Error>::new(Up);
    vec![Row::new(
        "backstop timeout",
        TimeoutLayer::new().total(NEVER).layer(up),
    )]
}
