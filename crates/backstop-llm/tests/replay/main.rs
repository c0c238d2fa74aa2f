//! Recorded exchanges with real providers, replayed through the real HTTP path: what a provider
//! answered then, byte for byte and cut up in various ways, is what a service of ours is answered
//! now, and what it makes of it is held against a simple reading of the recording.

mod events;
mod expect;
mod expect_anthropic;
mod expect_error;
mod expect_gemini;
mod expect_openai;
mod expect_responses;
mod fronts;
mod player;
mod recording;
mod replay;
mod told;
