#!/usr/bin/env python3
"""Runs three nodes over Redis for as long as asked, under churn and kills, and checks that nothing grows or is lost.

    tests/load/soak.py 30m                 results in target/soak
    tests/load/soak.py 3m --out FOLDER

Needs `redis-server` and the program in the release profile (or TIELINE_BIN). Exits with 1 if a check fails.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from pathlib import Path

from checks import check
from cluster import EventHandler, Node, Redis, TARGET, faults
from crowd import Crowd
from plots import draw
from probes import Probes
from sampler import numbers, sample

FAULTS = 150.0
"""The time between two faults, in seconds; a sixth of a short run."""

SETTLE = 45.0
"""The time in which the registry must equal the sockets, in seconds: an audit begins every 30."""


def duration(text):
    match = re.fullmatch(r"(\d+)(s|m|h)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is no time: use 90s, 30m or 2h")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


async def equal(nodes, crowd, probes, redis):
    """How many connections there are by whom; waits until all agree."""
    end = time.monotonic() + SETTLE
    while True:
        rows = [await numbers(node) for node in nodes]
        clients = len(crowd.open) + sum(client.joined_at is not None for client in probes.clients)
        # Of the fields, one is the epoch and one a count; ids are longer.
        entries = sum(len(line) > 2 for line in redis.ask("hkeys", "{tieline}:own"))
        seen = {"clients": clients, "nodes": sum(row["connections"] for row in rows), "registry": entries}
        if len(set(seen.values())) == 1 or time.monotonic() > end:
            return seen
        await asyncio.sleep(0.5)


async def run(seconds, folder):
    """Returns what was seen beside the samples."""
    random.seed(14)
    redis, handler = Redis(folder), EventHandler()
    await handler.start()
    nodes = [Node(name, redis, handler.port, folder) for name in "abc"]
    try:
        for node in nodes:
            await node.start()
        crowd, probes, events = Crowd(nodes), Probes(nodes), []
        end = time.monotonic() + seconds

        async def stopping(pause):
            """Waits; says whether the time is over, or would be before a fault is."""
            await asyncio.sleep(min(pause, max(0, end - time.monotonic())))
            return end - time.monotonic() < 45

        started = time.time()
        crowd.start()
        probes.start()
        sampling = asyncio.create_task(sample(nodes, probes, folder / "samples.csv"))
        await faults(nodes, min(FAULTS, seconds / 6), events, stopping)
        await asyncio.sleep(max(0, end - time.monotonic()))
        sampling.cancel()
        crowd.settle()
        await probes.settle()
        sockets = await equal(nodes, crowd, probes, redis)
        await crowd.stop()
        await probes.stop()
        empty = await equal(nodes, crowd, probes, redis)
        for event in events:
            event["seconds"] = event.pop("at") - started
        return {
            "seconds": seconds, "faults": events, "crowd": dict(crowd.counts), "handler": handler.events,
            "outcomes": dict(probes.outcomes), "sockets": sockets, "empty": empty,
            "lost": [(at - started, *rest) for at, *rest in probes.lost],
            "latencies": [(round(at - started, 2), *rest) for at, *rest in probes.latencies],
        }
    finally:
        for process in [*nodes, redis]:
            process.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("duration", type=duration, help="at least 3m, such as 30m or 2h")
    options.add_argument("--out", type=Path, default=TARGET / "soak", help="the folder for the results")
    options = options.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    result = asyncio.run(run(options.duration, options.out))
    (options.out / "result.json").write_text(json.dumps(result) + "\n")
    draw(options.out, options.out)
    sys.exit(check(options.out))


if __name__ == "__main__":
    main()
