//! Responses.

mod reply;
mod request;
mod stream;

pub(in crate::dialect) use self::{
    reply::whole,
    request::read,
    stream::{error_event, frames},
};
