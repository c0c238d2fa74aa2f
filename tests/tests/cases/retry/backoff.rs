//! Waits between attempts, and the chance in them.

use std::time::Duration;

use backstop_retry::{Backoff, Exponential, Jitter, Random, backoff::Decorrelated};

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differs, expect, failed, unknown},
};

pub(super) fn replay(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    match case.model.as_str() {
        "backoff-const" => {
            return differs("jitter only ever shortens a wait here, so that a cap holds");
        }
        "backoff-cap" => {
            return differs("a backoff that begins above its cap is refused when it is made");
        }
        "property" if config.get("base_ms").is_some() => {
            return differs("the bounds are those of one library's own smoothed formula");
        }
        _ => {}
    }
    for row in &case.rows {
        let row = Fields::of(row);
        match case.model.as_str() {
            "backoff-exp" | "backoff-linear" | "backoff-overflow" => wait(&config, &row)?,
            "jitter-formulas" => formula(&config, &row)?,
            _ => uniform(&config, &row)?,
        }
        row.end()?;
    }
    config.end()
}

/// The `attempt`th wait, without chance.
fn wait(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    match config.must("type", Fields::str)? {
        "exponential" => {}
        "constant" | "linear" => {
            return differs("a backoff of any other shape is an iterator of the user's own here");
        }
        kind => return unknown(format!("type {kind:?}")),
    }
    let factor = config.must("factor", Fields::f64)?;
    if factor != 2.0 {
        return differs("an exponential backoff doubles here");
    }
    let base = config.must("base_ms", Fields::ms)?;
    let cap = match row.ms("max_ms")? {
        Some(cap) => cap,
        None => config.ms("max_ms")?.unwrap_or(Duration::MAX),
    };
    let attempt = row.must("attempt", Fields::u64)? as usize;
    let wait = exponential(base, cap)?.nth(attempt);
    expect("ms", wait, Some(row.must("ms", Fields::ms)?))
}

pub(super) fn exponential(base: Duration, cap: Duration) -> Replay<Exponential> {
    Exponential::new(base, cap).or_else(|error| failed(error.to_string()))
}

/// Where draws by a formula must lie, and that they get near to both ends.
fn formula(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let [base, cap] = ["base", "cap"].map(|name| config.must(name, Fields::ms));
    let (base, cap) = (base?, cap?);
    let mut random = Random::seeded(1);
    let kind = row.must("kind", Fields::str)?;
    let spread = |low: Duration, high: Duration, mut draw: Box<dyn FnMut() -> Duration + '_>| {
        let draws: Vec<_> = (0..2_000).map(|_| draw()).collect();
        let least = draws.iter().copied().fold(Duration::MAX, Duration::min);
        let most = draws.iter().copied().fold(Duration::ZERO, Duration::max);
        expect("within", least >= low && most <= high, true)?;
        let near = (high - low) / 50;
        expect("spread", least <= low + near && most >= high - near, true)
    };
    for (n, v) in exponential(base, cap)?.take(12).enumerate() {
        expect("v", v, cap.min(base * 2u32.pow(n as u32)))?;
        match (kind, row.must("formula", Fields::str)?) {
            ("none", "v") => expect("v", Jitter::None.spread(v, &mut random), v)?,
            ("equal", "v/2 + U(0, v/2)") => {
                spread(v / 2, v, Box::new(|| Jitter::Equal.spread(v, &mut random)))?;
            }
            ("full", "U(0, v)") => {
                spread(
                    Duration::ZERO,
                    v,
                    Box::new(|| Jitter::Full.spread(v, &mut random)),
                )?;
            }
            ("decorrelated", "min(cap, U(base, prev*3)), prev starts at base") => {
                let Ok(first) = Decorrelated::new(base, cap) else {
                    return failed("refused");
                };
                let draw = || first.clone().next_wait(&mut random).expect("endless");
                spread(base, base * 3, Box::new(draw))?;
                let mut waits = first.clone();
                let mut last = base;
                for _ in 0..100 {
                    let wait = waits.next_wait(&mut random).expect("endless");
                    expect(
                        "decorrelated",
                        (base..=cap.min(last * 3)).contains(&wait),
                        true,
                    )?;
                    last = wait;
                }
            }
            (kind, formula) => return unknown(format!("{kind} {formula:?}")),
        }
    }
    Ok(())
}

/// Full jitter leaves no second of the wait more likely than another.
fn uniform(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    match row.must("property", Fields::str)? {
        "each 1 s histogram bin within 20 % of the mean" => {}
        property => return unknown(format!("property {property:?}")),
    }
    let attempt = config.must("attempt", Fields::u64)? as usize;
    let cap = config.must("max_ms", Fields::ms)?;
    let wait = exponential(Duration::from_millis(50), cap)?.nth(attempt);
    expect("at the cap", wait, Some(cap))?;
    let mut random = Random::seeded(1);
    let mut bins = vec![0u32; cap.as_secs() as usize];
    for _ in 0..10_000 {
        let wait = Jitter::Full.spread(cap, &mut random);
        // A draw of exactly the cap belongs to the last second.
        let bin = (wait.as_nanos() - 1) / Duration::from_secs(1).as_nanos();
        bins[bin as usize] += 1;
    }
    let mean = 10_000 / bins.len() as u32;
    let within = |count: &u32| count.abs_diff(mean) * 5 <= mean;
    if bins.iter().all(within) {
        Ok(())
    } else {
        failed(format!("{bins:?}"))
    }
}
