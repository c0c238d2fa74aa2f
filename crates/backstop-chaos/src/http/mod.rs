//! Mishaps of HTTP: replies with a status, and bodies that break.

mod body;
mod reply;
mod tail;

pub use self::{
    body::{ChaosBody, Reset},
    reply::Reply,
    tail::{TailChaos, TailChaosLayer, TailFault, TailFuture},
};
