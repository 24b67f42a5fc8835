"""Writes what each node holds to a CSV, every five seconds.

Owns the columns. Reads /proc and the admin ports; the latencies are handed in.
"""

import asyncio
import csv
import os
import re
import time
from pathlib import Path

from client import request
from probes import KINDS

EVERY = 5.0
METRICS = {
    "connections": "tieline_connections",
    "entries": "tieline_registry_entries",
    "tasks": "tieline_runtime_tasks",
    "cpu_seconds": "process_cpu_seconds_total",
    "opened": "tieline_connections_opened_total",
}
MEMORY = {"rss": "VmRSS", "anonymous": "RssAnon"}
COLUMNS = [
    "seconds", "node", "pid", *MEMORY, "descriptors", *METRICS, "metrics_seconds", "readyz_seconds",
    *(f"{kind}_{word}" for kind in KINDS for word in ("count", "p50", "p99")),
]


async def timed(port, path):
    start = time.monotonic()
    status, _, body = await request(port, "GET", path)
    return time.monotonic() - start, status, body.decode()


async def numbers(node):
    """What a node that is up says of itself, and what the kernel says of it."""
    row = {"pid": node.pid}
    row["metrics_seconds"], _, page = await timed(node.admin, "/metrics")
    row["readyz_seconds"], _, _ = await timed(node.admin, "/readyz")
    for column, metric in METRICS.items():
        row[column] = float(re.search(rf"^{metric} (\S+)$", page, re.M)[1])
    status = Path(f"/proc/{node.pid}/status").read_text()
    for column, field in MEMORY.items():
        row[column] = int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)[1]) * 1024
    row["descriptors"] = len(os.listdir(f"/proc/{node.pid}/fd"))
    return row


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def latencies(window, name):
    """In seconds, of what was sent on this node."""
    row = {}
    for kind in KINDS:
        values = [seconds for of, sender, seconds in window if (of, sender) == (kind, name)]
        row[f"{kind}_count"] = len(values)
        if values:
            row[f"{kind}_p50"], row[f"{kind}_p99"] = percentile(values, 0.5), percentile(values, 0.99)
    return row


async def sample(nodes, probes, path):
    """Runs until it is cancelled. A node that is down has no row."""
    started = time.monotonic()
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        while True:
            await asyncio.sleep(EVERY)
            seconds, window = round(time.monotonic() - started, 1), probes.take_window()
            for node in nodes:
                try:
                    row = await numbers(node) if node.up else None
                except (OSError, asyncio.TimeoutError, TypeError):
                    row = None
                if row:
                    row.update(latencies(window, node.name), seconds=seconds, node=node.name)
                    table.writerow({column: f"{value:.6g}" if isinstance(value, float) and value < 1 else value for column, value in row.items()})
            file.flush()
