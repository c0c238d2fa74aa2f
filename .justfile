# What CI runs.
ci:
    .ci/run

# Format, and fail on any lint.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --exclude backstop-peers --all-targets --all-features -- -D warnings

# Every test of every crate, with every feature.
test *args:
    cargo test --workspace --exclude backstop-peers --all-features {{ args }}

# The documentation, with warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --exclude backstop-peers --all-features --no-deps

# Licences, sources and duplicate versions (needs cargo-deny).
deny:
    cargo deny check bans licenses sources
