//! Going on with a streamed answer that broke off.

mod layer;
mod progress;
mod seam;
mod service;
mod stream;

pub use self::{layer::ContinueLayer, service::Continue};
