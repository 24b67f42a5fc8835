# The parts of test.sh, by name: `just PART` is `./test.sh PART`.

# List the recipes
default:
    @just --list --unsorted

# The format check, the lints and the Rust tests
quick:
    ./test.sh --quick

# The source code is formatted (cargo fmt)
format:
    ./test.sh format

# Lints, with warnings denied
clippy:
    ./test.sh clippy

# Unit, property, differential, integration and fault tests
tests:
    ./test.sh tests

# The examples in the documentation comments, the READMEs and docs/
doctests:
    ./test.sh doctests

# The API documentation builds without warnings
docs:
    ./test.sh docs

# The public API names no types of dependencies except those allowed
api:
    ./test.sh api

# The crates can be packaged, with complete metadata
package:
    ./test.sh package

# Licences, banned crates and sources (needs cargo-deny)
deny:
    ./test.sh deny

# The protocols of registry and presence, explored over all orders of events within small bounds
model:
    ./test.sh model

# Programs and examples in the release profile
build:
    ./test.sh build

# Node: ws, the official Web PubSub clients, event handler and SDK for backends
interop-node:
    ./test.sh interop-node

# Python: websockets, the official Web PubSub client and SDK for backends, boto3
interop-python:
    ./test.sh interop-python

# Java: the official Web PubSub SDK for backends
interop-java:
    ./test.sh interop-java

# The Autobahn|Testsuite: sections 1 to 7, 9, 10, 12 and 13
autobahn:
    ./test.sh autobahn

# Short runs of the measurements in docs/benchmarks.md; fails below half of a goal
bench:
    ./test.sh bench

# The demo page in headless Chromium
browser:
    ./test.sh browser

# The official client in Chromium behind HAProxy and nginx
proxies:
    ./test.sh proxies
