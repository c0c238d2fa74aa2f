//! Every recorded exchange with a real provider, through the running gateway: a socket answers what
//! the provider answered then, the gateway stands in front of it, and callers ask in each of its
//! languages. What the provider is asked means what was recorded, and so does what each caller is
//! told.
//!
//! Another folder of recordings is read where `BACKSTOP_SHARED` names one.

#[path = "../common/mod.rs"]
mod common;
// How recordings are read and played is shared with the tests of the services.
#[path = "../../../backstop-llm/tests/replay/events.rs"]
mod events;
#[path = "../../../backstop-llm/tests/replay/expect.rs"]
mod expect;
#[path = "../../../backstop-llm/tests/replay/expect_anthropic.rs"]
mod expect_anthropic;
#[path = "../../../backstop-llm/tests/replay/expect_error.rs"]
mod expect_error;
#[path = "../../../backstop-llm/tests/replay/expect_gemini.rs"]
mod expect_gemini;
#[path = "../../../backstop-llm/tests/replay/expect_openai.rs"]
mod expect_openai;
#[path = "../../../backstop-llm/tests/replay/expect_responses.rs"]
mod expect_responses;
#[expect(dead_code, reason = "bodies are cut up in the tests of the services")]
#[path = "../../../backstop-llm/tests/replay/player.rs"]
mod player;
#[path = "../../../backstop-llm/tests/replay/recording.rs"]
mod recording;
#[path = "../../../backstop-llm/tests/replay/told.rs"]
mod told;

mod ask;
mod ask_read;
mod ask_write;
mod replay;
