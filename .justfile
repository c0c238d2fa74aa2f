# What CI runs.
ci:
    .ci/run

# Format, and fail on any lint.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# Every test of every crate, with every feature.
test *args:
    cargo test --workspace --exclude backstop-peers --exclude backstop-fuzz --all-features {{ args }}

# The documentation, with warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --exclude backstop-peers --exclude backstop-fuzz --all-features --no-deps

# Licences, sources and duplicate versions (needs cargo-deny).
deny:
    cargo deny check bans licenses sources

# The layers beside their peers: time, instructions, allocations, sizes.
cost:
    cargo bench -p backstop-peers

# Permits, windows and budgets under every interleaving of threads with so many preemptions, more
# than CI has time for.
loom preemptions="4":
    LOOM_MAX_PREEMPTIONS={{ preemptions }} RUSTFLAGS="--cfg loom" cargo test --release -p backstop-core --test loom
    LOOM_MAX_PREEMPTIONS={{ preemptions }} RUSTFLAGS="--cfg loom" cargo test --release -p backstop-circuit-breaker --test loom

# What reads from outside on arbitrary bytes, each target for so many seconds: `just fuzz 60 sse`.
fuzz *args:
    tests/fuzz/run {{ args }}

# Whether the tests notice a changed line in the heart of the layers (needs cargo-mutants). What is
# only printed is left out.
mutants:
    cargo mutants -p backstop-circuit-breaker -p backstop-core -p backstop-retry \
        -p backstop-served-by -p backstop-timeout --all-features \
        --file '**/{state,settle,token,word,window,calls,cold,flight,permit,rate,rules,wait}.rs' \
        --file '**/{budget,backoff,waits,jitter,random,call}.rs' \
        --file 'crates/backstop-core/src/{context/due,deadline,grpc,served_by,span,timer}.rs' \
        --file 'crates/backstop-{served-by,timeout}/src/**' \
        --exclude-re 'impl fmt::' --output target/mutants -- --lib --tests

# The gateway as it is released, laid out for the way that calls take (needs llvm-profdata).
release:
    python3 tests/load/release.py

# The gateway as it is released beside nginx and other gateways, under load (needs wrk and nginx).
load *args: release
    python3 tests/load/load.py {{ args }}

# The gateway under steady load with faults switched every few seconds, for so many seconds.
soak seconds="3600":
    BACKSTOP_SOAK_SECONDS={{ seconds }} cargo test --release -p backstop-gateway --test soak -- --nocapture

# Each query of the Grafana dashboard against a Prometheus that scrapes a gateway in an outage
# (needs prometheus).
dashboard:
    cargo build -p backstop-gateway
    python3 tests/dashboard/dashboard.py

# The status page in headless Chromium, in an outage, with screenshots (needs Node and Chromium).
look:
    cargo build -p backstop-gateway
    node tests/status_page/look.mjs target/debug/backstop
