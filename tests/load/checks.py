"""What a soak must have shown.

Owns the slack. Reads only what the run has written, so it can be repeated: `tests/load/checks.py FOLDER`.
"""

import csv
import json
import statistics
import sys
from pathlib import Path

# Growth that is allowed between the first and the last third of the run: a share, and an amount beside it.
SLACK = {
    "rss": (0.10, 8 << 20),
    "anonymous": (0.10, 4 << 20),
    "other descriptors": (0.10, 16),
    "other tasks": (0.10, 16),
}
WARM_UP = 60.0
"""Seconds at the start that do not count: the clients are still connecting."""

BUSY = 0.5
"""The share of a processor that a node may use: a soak is no load test."""


def samples(folder):
    """The rows, with what is beside the connections of clients: those wander when a node dies."""
    with open(folder / "samples.csv", newline="") as file:
        rows = [{key: value if key == "node" else float(value) if value else None for key, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        for column in ("descriptors", "tasks"):
            row[f"other {column}"] = row[column] - row["connections"]
    return rows


def thirds(rows, column):
    """The medians of the first and the last third."""
    rows = [row for row in rows if row["seconds"] > WARM_UP]
    end = max(row["seconds"] for row in rows)
    third = (end - WARM_UP) / 3
    first = [row[column] for row in rows if row["seconds"] <= WARM_UP + third]
    last = [row[column] for row in rows if row["seconds"] >= end - third]
    return statistics.median(first), statistics.median(last)


def growth(rows):
    """A line for each node and number, and whether it is within the slack."""
    for node in sorted({row["node"] for row in rows}):
        of_node = [row for row in rows if row["node"] == node]
        for column, (share, amount) in SLACK.items():
            first, last = thirds(of_node, column)
            yield last <= first * (1 + share) + amount, f"{column} of node {node}: {first:,.0f} in the first third, {last:,.0f} in the last"


def cpu(rows):
    """The share of a processor of each life of each process."""
    for node, pid in sorted({(row["node"], row["pid"]) for row in rows}):
        life = [row for row in rows if row["pid"] == pid]
        if len(life) > 2:
            used = (life[-1]["cpu_seconds"] - life[0]["cpu_seconds"]) / (life[-1]["seconds"] - life[0]["seconds"])
            yield used <= BUSY, f"node {node} (process {pid:.0f}) used {used:.1%} of a processor"


def probes(result):
    for outcome, count in sorted(result["outcomes"].items()):
        kind, _, what = outcome.partition(" ")
        yield what not in ("lost", "twice"), f"messages of the kind {kind}: {count:,} {what}"
    arrived = {kind: sum(1 for row in result["latencies"] if row[1] == kind) for kind in ("group", "rest", "event")}
    # At least one a second of each, or the probes themselves have failed.
    yield min(arrived.values()) >= result["seconds"], f"messages that arrived, by kind: {arrived}"


def registry(result):
    for when in ("sockets", "empty"):
        seen = result[when]
        yield len(set(seen.values())) == 1, f"connections at the end, {when}: {seen}"
    yield result["sockets"]["clients"] > 200, f"clients at the end: {result['sockets']['clients']}"
    yield result["empty"]["clients"] == 0, f"clients after the end: {result['empty']['clients']}"


def faults(result):
    for fault in result["faults"]:
        yield True, "{seconds:5.0f} s: {how} of node {node}, ended after {ended_after:.1f} s, ready {ready_after:.1f} s after its start".format(**fault)
    yield len(result["faults"]) >= 2, f"faults: {len(result['faults'])}"


def verdict(folder):
    """Whether each check has passed, and its text."""
    rows, result = samples(folder), json.loads((folder / "result.json").read_text())
    return [*faults(result), *growth(rows), *cpu(rows), *probes(result), *registry(result)]


def check(folder):
    """Prints each check; returns the exit code."""
    checks = verdict(folder)
    for passed, text in checks:
        print(f"{'ok    ' if passed else 'FAILED'} {text}")
    return 0 if all(passed for passed, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[1])))
