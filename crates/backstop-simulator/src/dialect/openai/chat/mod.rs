//! Chat Completions.

mod reply;
mod request;
mod rules;

pub(in crate::dialect) use self::{
    reply::{error_event, frames, whole},
    request::read,
};
