#!/usr/bin/env bash
# Build the Debian package of the server from a binary, and print its path.
#
# Needs cargo-deb. The binary is that of the profile `dist`: cargo build --profile dist -p tieline-server --bin tieline
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

dist=${CARGO_TARGET_DIR:-target}/dist
tieline=$dist/tieline
[[ -x $tieline ]] || { echo "$tieline is missing: cargo build --profile dist -p tieline-server --bin tieline" >&2; exit 1; }

# What clap and the list of options make: it matches the binary, whatever the sources say by now.
files=$dist/deb
rm -rf "$files"
mkdir -p "$files/completions"
env -i "$tieline" man "$files/man"
gzip --best --no-name "$files"/man/*.1
env -i "$tieline" completions bash >"$files/completions/tieline"
env -i "$tieline" completions zsh >"$files/completions/_tieline"
env -i "$tieline" completions fish >"$files/completions/tieline.fish"
env -i "$tieline" config default >"$files/tieline.toml"

cargo deb --quiet --no-build --profile dist -p tieline-server
