//! What one event of a stream costs: read from a provider's bytes and written for a caller, in
//! time and in allocations.
//!
//! `cargo bench -p backstop-llm`

use std::{alloc::System, hint::black_box, time::Duration};

use backstop_llm::{ChatRequest, Chunk, Dialect, Raw, sse::SseParser};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EVENTS: usize = 500;
const ROUNDS: usize = 200;

/// A stream of this dialect with so many pieces of text, as its own provider sends it.
fn stream(dialect: Dialect) -> Vec<u8> {
    let (begin, piece, end) = match dialect {
        Dialect::Anthropic => (
            concat!(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",",
                "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-4-8\",\"content\":[],",
                "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
                "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            ),
            concat!(
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
                "\"delta\":{\"type\":\"text_delta\",\"text\":\" and so on\"}      }\n\n",
            ),
            concat!(
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
                "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":",
                "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":500}}\n\n",
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            ),
        ),
        _ => (
            "",
            concat!(
                "data: {\"id\":\"chatcmpl-CkYq1Wm4PZQ0\",\"object\":\"chat.completion.chunk\",",
                "\"created\":1765000000,\"model\":\"gpt-5.5-2026-03-11\",\"service_tier\":\"default\",",
                "\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":",
                "\" and so on\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,",
                "\"obfuscation\":\"a8Xk2p\"}\n\n",
            ),
            concat!(
                "data: {\"id\":\"chatcmpl-CkYq1Wm4PZQ0\",\"choices\":[{\"index\":0,\"delta\":{},",
                "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            ),
        ),
    };
    format!("{begin}{}{end}", piece.repeat(EVENTS)).into_bytes()
}

/// Reads a stream, and writes it for a caller where there is one.
fn pass_on(stream: &[u8], from: Dialect, to: Option<Dialect>) -> usize {
    let mut parser = SseParser::new();
    let mut decoder = from.wire().decoder();
    let mut encoder = to.map(|to| to.front().encoder(&ChatRequest::new("m")));
    let mut written = 0;
    let mut out = Vec::with_capacity(4096);
    // As the network brings it: a few events at a time.
    for packet in stream.chunks(1400) {
        parser.push(packet);
        while let Ok(Some(event)) = parser.next_event() {
            let mut events = Vec::with_capacity(2);
            decoder.event(&event, &mut events).expect("an event");
            let mut chunk = Chunk::new(events);
            chunk.raw = Some(Raw {
                dialect: from,
                bytes: event.raw,
            });
            match &mut encoder {
                Some(encoder) => encoder.chunk(&chunk, &mut out),
                None => {
                    black_box(&chunk);
                }
            }
            written += out.len();
            out.clear();
        }
    }
    written
}

#[expect(clippy::disallowed_types, reason = "a benchmark measures real time")]
fn timed(run: impl Fn()) -> Duration {
    let began = std::time::Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    began.elapsed()
}

fn main() {
    println!("{:<28}{:>12}{:>16}", "per event", "time", "allocations");
    let dialects = [Dialect::OpenAi, Dialect::Anthropic];
    for from in dialects {
        let stream = stream(from);
        for to in [None, Some(dialects[0]), Some(dialects[1])] {
            let name = to.map_or_else(|| format!("{from}, read"), |to| format!("{from} to {to}"));
            let run = || {
                black_box(pass_on(black_box(&stream), from, to));
            };
            run();
            let region = Region::new(ALLOCATOR);
            run();
            let change = region.change();
            let allocations = (change.allocations + change.reallocations) as f64 / EVENTS as f64;
            let nanos = timed(run).as_nanos() as f64 / (ROUNDS * EVENTS) as f64;
            println!("{name:<28}{nanos:>9.0} ns{allocations:>16.2}");
        }
    }
}
