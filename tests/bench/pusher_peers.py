#!/usr/bin/env python3
"""Measures Sockudo, another server of Pusher Channels, and Tieline under the same load, in turns.

    apt-get install protobuf-compiler
    cargo install --locked sockudo --version 5.2.0 --no-default-features --features local --root target/tools
    tests/bench/pusher_peers.py target/tools/bin/sockudo            five pairs of each; about 6 minutes
    tests/bench/pusher_peers.py target/tools/bin/sockudo --runs 1   one pair of each

Each is one node without Redis on the first CPU, and the load is on the second. Prints a table in which the ratio is
that of Tieline's rate, or memory, to the other's. A run that fails counts for neither. The HTTP APIs are not compared:
Sockudo closes the connection after each response, and the load keeps its connections.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from figures import PAGES, PINNED, PUSHER_SERVE, PUSHER_URL, RELEASE, SECRET, configuration, started

ENVIRONMENT = "env PORT={port} HOST=127.0.0.1 RUST_LOG=error"

SUBSCRIBED = ["--wire", "pusher", "--token-key", str(SECRET), "--duration", "2s"]
LOADS = {
    "an event of a client to a channel of 1,000": ("broadcast", ["-c", "1000"]),
    "800 clients that each send to a presence channel of 10": ("rooms", ["-c", "800"]),
    "resident bytes per idle client in a presence channel of ten, 4,000 connections": ("idle", ["-c", "4000", "--on-open", "presence-{room}"]),
}


def sockudo(program):
    """The command that starts it with the app of the figures, and limits that the load does not meet."""
    path = PAGES / "sockudo.json"
    limits = {"max_connections": 100_000, "max_client_events_per_second": 1_000_000_000}
    app = {
        "id": "1", "key": "app-key", "secret": SECRET.read_text().strip(), "enabled": True,
        "policy": {"limits": limits, "features": {"enable_client_messages": True}},
    }
    path.write_text(json.dumps({
        "app_manager": {"driver": "memory", "array": {"apps": [app]}},
        "rate_limiter": {"enabled": False},
        "metrics": {"enabled": False},
    }))
    return f"{ENVIRONMENT} {shlex.quote(str(program))} --config {shlex.quote(str(path))}"


def measured(scenario, flags, serve):
    """The rate, or for idle clients the memory of each; None if the run failed."""
    command = [str(RELEASE / "tieline"), "bench", scenario, *SUBSCRIBED, *flags, *started([serve], [PUSHER_URL]), *PINNED, "--quiet", "--json", "-"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    if done.returncode != 0:
        print(f"a run of '{scenario}' failed: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    result = json.loads(done.stdout)
    return result["resident_per_connection_bytes"] if scenario == "idle" else result["arrived_per_second"]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sockudo", type=Path, help="the program of Sockudo")
    options.add_argument("--runs", type=int, default=5, help="pairs of runs of each load (default: 5)")
    options = options.parse_args()
    if not options.sockudo.is_file():
        sys.exit(f"pusher_peers.py: no program at {options.sockudo}")
    configuration()
    other = sockudo(options.sockudo.resolve())
    print("| load | Sockudo | Tieline | ratio | spread |\n|---|---|---|---|---|")
    for what, (scenario, flags) in LOADS.items():
        pairs = [(measured(scenario, flags, other), measured(scenario, flags, PUSHER_SERVE)) for _ in range(options.runs)]
        pairs = [pair for pair in pairs if None not in pair]
        if not pairs:
            print(f"| {what} | failed | | | |", flush=True)
            continue
        ratios = sorted(ours / theirs for theirs, ours in pairs)
        theirs, ours = (statistics.median(side) for side in zip(*pairs))
        print(f"| {what} | {theirs:,.0f} | {ours:,.0f} | **{statistics.median(ratios):.2f}** | {ratios[0]:.2f} to {ratios[-1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
