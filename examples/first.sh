#!/bin/sh
# An expression to a derivation to a built package that runs: offline, without root, with nothing set up before.
# Builds rx first (RX_PROFILE=dev for a quick build). The store is a folder below target/ and not /nix.
set -eu
cd "$(dirname "$0")/.."
profile=${RX_PROFILE:-release}
cargo build --profile "$profile" --bins
[ "$profile" = dev ] && profile=debug
bin=$PWD/target/$profile store=$PWD/target/first-store

set -- --store "$store" --option substituters ''
"$bin/rx-instantiate" "$@" --add-root target/first-derivation examples/hello.nix > /dev/null
echo "derivation  $(readlink target/first-derivation)"
output=$("$bin/rx-build" "$@" --host-tools --no-out-link examples/hello.nix)
echo "output      $output"
"$store$output/bin/hello"
