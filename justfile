# The parts of test.sh, by name: `just PART` is `./test.sh PART`.

# List the recipes
default:
    @just --list --unsorted

# The format check, the lints and the Rust tests
quick:
    ./test.sh --quick

# What is checked before a release: the parts at the end
release:
    ./test.sh --release

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

# Tests that take minutes in real time
slow:
    ./test.sh slow

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

# Node: ws, the official Web PubSub clients, event handler and SDK for backends; pusher-js, Laravel Echo, pusher
interop-node:
    ./test.sh interop-node

# Python: websockets, the official Web PubSub client and SDK for backends, boto3; pusher, Pysher
interop-python:
    ./test.sh interop-python

# Java: the official Web PubSub SDK for backends; the client and the server library of Pusher Channels
interop-java:
    ./test.sh interop-java

# Go: the server library of Pusher Channels
interop-go:
    ./test.sh interop-go

# The Autobahn|Testsuite: sections 1 to 7, 9, 10, 12 and 13
autobahn:
    ./test.sh autobahn

# Short runs of the measurements in docs/benchmarks.md; fails below half of a goal
bench:
    ./test.sh bench

# A node that is offered twice what it sustains: operators see in, memory is bounded, it recovers
overload:
    ./test.sh overload

# Three nodes under churn and kills for this time, such as `just soak 30m`
soak time:
    ./test.sh --soak {{time}}

# The demo page, the dashboard, pusher-js and Laravel Echo in headless Chromium
browser:
    ./test.sh browser

# The official client in Chromium behind HAProxy and nginx
proxies:
    ./test.sh proxies

# The alerts and the dashboard, asked of a real Prometheus that scrapes two nodes
prometheus:
    ./test.sh prometheus

# The program as it is released (profile dist)
dist:
    ./test.sh dist

# Memory and start of an idle node, size of the program
smallest:
    ./test.sh smallest

# The Debian package: install, run, upgrade, purge; its systemd unit
deb:
    ./test.sh deb

# The container image: build, contents, a node with its health check
image:
    ./test.sh image

# The Helm chart: helm, the types of Kubernetes, the configuration of each pod
chart:
    ./test.sh chart

# The crates as they would be published, compiled from their archives
publish:
    ./test.sh publish

# The public API is compatible with that of the last release
semver:
    ./test.sh semver

# A rolling restart of three nodes with 3,000 official clients behind HAProxy
rolling:
    ./test.sh rolling
