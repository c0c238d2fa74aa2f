//! The stand-ins over real sockets, with a client that knows nothing of them.

#![cfg(test)]

mod chat;
mod client;
mod connection;
mod continuing;
mod control;
mod faults;
mod generate;
mod messages;
mod responses;
mod rules;
