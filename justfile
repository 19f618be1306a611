# The habits of the project: `just check`, `just test NAME`, …; every line works without just, too.

# What a change needs before it is shown to anybody.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# All tests, or those whose name contains NAME.
test NAME="":
    cargo test --workspace -- {{NAME}}

# Everything that must pass.
ci:
    .ci/run

# Benchmarks.
bench *ARGS:
    cargo bench --workspace {{ARGS}}

# Escapes, faults and hostile input, all of it, with counts.
hostile *ARGS:
    tests/hostile {{ARGS}}

# The store and the builder side by side with another Nix.
bench-store *ARGS:
    benches/store {{ARGS}}

# The language's test programs, compared with a real Nix where one is installed.
conformance *ARGS:
    cargo test --test lang -- {{ARGS}}

# The packages of a nixpkgs TREE, against a TABLE of their derivation paths.
nixpkgs TREE TABLE *ARGS:
    cargo build --release
    tests/nixpkgs/compare {{TREE}} {{TABLE}} --command 'target/release/rx instantiate' {{ARGS}}

# CPU time and memory of whole evaluations in DIR (targets/*.nix, bench/*.nix), beside a reference's.
speed DIR *ARGS:
    cargo build --release
    benches/speed {{DIR}} {{ARGS}}

# Parsed programs beside a reference's: `files TREE`, `large TREE FILE`, `time FILE`.
parse *ARGS:
    cargo build --release
    benches/parse {{ARGS}}

# All interleavings of the thunk protocol.
threads:
    RUSTFLAGS='--cfg rx_loom' cargo test --manifest-path eval/model/Cargo.toml --target-dir target/model

# A fuzz target for a while (needs cargo-fuzz and a nightly compiler).
fuzz TARGET SECONDS="60":
    cargo fuzz run {{TARGET}} -- -max_total_time={{SECONDS}}

# Manual pages and completion scripts.
docs DIR="target/share":
    cargo run --release -- man {{DIR}}/man/man1
    mkdir -p {{DIR}}/bash-completion/completions
    cargo run --release -- completions bash > {{DIR}}/bash-completion/completions/rx

# Kills every command that changes what a user has installed, so many times each.
kills N="60":
    RX_TEST_PATIENCE=36000 RX_KILLS={{N}} cargo test --test kills -- --nocapture
