#!/usr/bin/env python3
"""Fails if the public API of a library crate names a type of a dependency that is not allowed.

    tests/api/external_types.py            check every library of the workspace, with all features
    tests/api/external_types.py FILE...    check these files of rustdoc's JSON

A dependency in a public signature ties its major version to ours. Signatures are inputs, outputs,
fields, variants, bounds, supertraits, implemented traits, associated types, aliases, constants, and
re-exports. Not checked: macros, `#[doc(hidden)]` items, and blanket implementations of others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

# What public signatures may name beside the workspace's own crates: the folders or files where the
# crate is allowed ("": anywhere), and why. No type of hyper, tonic, redis or etcd belongs here.
STANDARD = dict.fromkeys(("std", "core", "alloc"), ("", "the standard library"))
ALLOWED = STANDARD | {
    "axum_core": ("crates/tieline/src/axum", "the traits of extractors and responses"),
    "bytes": ("", "the data of an HTTP body"),
    "futures_core": (
        ("crates/tieline/src/socket", "crates/tieline/src/presence"),
        "the trait of streams",
    ),
    "futures_sink": ("crates/tieline/src/socket", "the trait of sinks"),
    "http": ("", "requests, responses, headers; shared by axum, hyper and tonic"),
    "http_body": ("", "the trait of HTTP bodies, shared likewise"),
    "serde_core": ("crates/tieline-websocket/src/json.rs", "the traits of values that are JSON"),
    "tokio": ("", "the runtime: sockets that the application opened"),
    "tower_service": ("", "the trait of HTTP services, shared likewise"),
    "uuid": ("", "the identity of a node's process"),
}
# Libraries that are not checked, and why; unpublished ones, which serve the tests, are not either.
UNCHECKED = {"tieline-bench": "an internal library of tieline-server"}


def references(node):
    """Yields the id of each type and trait that a part of an item names."""
    if isinstance(node, dict):
        if "path" in node and isinstance(node.get("id"), int):
            yield node["id"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def exposed(item):
    """Yields the ids that one item of the index exposes."""
    [(kind, inner)] = item["inner"].items()
    if kind == "use":
        if inner["id"] is not None:
            yield inner["id"]
    elif kind == "impl" and (inner["is_synthetic"] or inner["blanket_impl"]):
        return
    else:
        yield from references(inner)


def violations(document, own, allowed):
    """Yields (file, line, item, type) for each use of a crate that is not allowed there."""
    crates = {int(key): crate["name"] for key, crate in document["external_crates"].items()}
    for item in document["index"].values():
        if item["crate_id"] != 0 or not item["span"]:
            continue
        file, line = item["span"]["filename"], item["span"]["begin"][0]
        for id in set(exposed(item)):
            path = document["paths"].get(str(id))
            if path is None or path["crate_id"] == 0:
                continue
            crate = crates[path["crate_id"]]
            if crate in own or (crate in allowed and file.startswith(allowed[crate][0])):
                continue
            yield file, line, item["name"] or next(iter(item["inner"])), "::".join(path["path"])


def workspace():
    """The workspace's crates, and of these the libraries to check, by their names in Rust."""
    command = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    packages = json.loads(subprocess.check_output(command, cwd=ROOT))["packages"]
    libraries = {
        package["name"]: target["name"]
        for package in packages
        for target in package["targets"]
        if "lib" in target["kind"]
    }
    unpublished = {package["name"] for package in packages if package["publish"] == []}
    return set(libraries.values()), [
        name
        for package, name in libraries.items()
        if package not in UNCHECKED and package not in unpublished
    ]


def document_workspace():
    """Makes rustdoc's JSON of all libraries, with the features that the other parts of test.sh use."""
    locked = ["--locked"] if os.environ.get("CI") == "true" else []
    command = ["cargo", "doc", "--workspace", "--all-features", "--lib", "--no-deps", *locked]
    environment = os.environ | {
        "RUSTDOC": str(ROOT / "tests" / "api" / "rustdoc"),
        "RUSTDOCFLAGS": "-Z unstable-options --output-format json",
        "CARGO_TARGET_DIR": str(TARGET),
    }
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def main(files):
    own, libraries = workspace()
    if not files:
        document_workspace()
        files = [TARGET / "doc" / f"{name}.json" for name in libraries]
    found = set()
    for file in files:
        document = json.loads(Path(file).read_text())
        print(f"{Path(file).stem}: {len(document['index'])} items")
        found.update(violations(document, own, ALLOWED))
    for file, line, item, type in sorted(found):
        print(f"error: {file}:{line}: `{item}` exposes `{type}`")
    if found:
        print("\nHide the dependency behind a type of the crate, or add it to ALLOWED with a reason.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
