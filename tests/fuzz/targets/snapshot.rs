//! What a circuit knew, read from anywhere, restored under several rules and put to use.
#![no_main]

use std::{num::NonZeroU16, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreaker, FaultKind, Jitter, OpenWait, Policy, Snapshot, State, Window,
};
use libfuzzer_sys::fuzz_target;
use tokio::time::Instant;

fn policies() -> [Policy; 3] {
    let growing = OpenWait::growing(Duration::from_secs(1), Duration::from_secs(300));
    [
        Policy::new(),
        Policy::new().window(Window::calls(NonZeroU16::new(20).expect("is not zero"))),
        Policy::new()
            .without_failure_rate()
            .open_for(growing.jitter(Jitter::None)),
    ]
}

/// One letter is one thing that happens to the circuit; what they mean is arbitrary.
fn step(circuit: &CircuitBreaker, letter: u8, now: &mut Instant) {
    *now += Duration::from_millis(1 << (letter >> 4));
    let Ok(permit) = circuit.try_acquire_at(*now) else {
        let remaining = circuit.remaining_at(*now);
        assert!(remaining.is_none_or(|wait| wait > Duration::ZERO));
        return;
    };
    match letter & 0x07 {
        0 => permit.success_at(*now),
        1 => permit.failure_at(FaultKind::Unavailable, *now),
        2 => permit.failure_at(FaultKind::RateLimited, *now),
        3 => permit.failure_at(FaultKind::Denied, *now),
        4 => permit.ignore_at(*now),
        5 => circuit.half_open_at(*now),
        6 => circuit.open_at(*now),
        _ => drop(permit),
    }
}

/// The state in which a circuit comes back: the probes of a half-open one don't survive.
fn saved(state: State) -> State {
    match state {
        State::HalfOpen => State::Open,
        state => state,
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let (Some(letters), Some(json)) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(snapshot) = serde_json::from_slice::<Snapshot>(json) else {
        return;
    };
    for policy in policies() {
        let mut now = Instant::now();
        let circuit = policy.breaker("fuzzed");
        if circuit.restore_at(&snapshot, now).is_err() {
            return;
        }
        for &letter in letters {
            step(&circuit, letter, &mut now);
        }
        assert_eq!(circuit.counts_at(now).probes, 0);

        let left = circuit.snapshot_at(now);
        let written = serde_json::to_vec(&left).expect("a snapshot can be written");
        let read: Snapshot = serde_json::from_slice(&written).expect("and read again");
        assert_eq!(read, left);
        let next = policy.breaker("restored");
        next.restore_at(&read, now).expect("is of this version");
        assert_eq!(next.state_at(now), saved(circuit.state_at(now)));
    }
});
