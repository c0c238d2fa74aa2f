//! Chat Completions.

mod reply;
mod request;

pub(in crate::dialect) use self::{
    reply::{error_event, frames, whole},
    request::read,
};
