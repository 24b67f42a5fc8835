#!/usr/bin/env python3
"""Measures what it costs that somebody reads `/metrics`, and prints it as a table.

    tests/bench/metrics.py                  five pairs of runs, with 10,000 idle clients; about two minutes
    tests/bench/metrics.py --program PATH   another build of `tieline` than the release build

The server runs on the first CPU, the load on the second. In each pair, 100 clients in JSON send to themselves with
16 messages in flight, once while the page is read every second, and once while nobody reads it; the order alternates.
Before and after, the page is read many times in a row while nothing is sent. What counting costs, whether the page
is read or not, is another matter: docs/benchmarks.md says how that is measured.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from figures import RELEASE
from servers import free_port, wait_for

READS = 1000


class Server:
    """A node on the first CPU."""

    def __init__(self, program):
        self.port, admin = free_port(), free_port()
        self.page_url = f"http://127.0.0.1:{admin}/metrics"
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", program, "serve", "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{admin}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port)
        wait_for(admin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def page(self):
        with urllib.request.urlopen(self.page_url, timeout=10) as answer:
            return answer.read().decode()

    def value(self, metric):
        return float(re.search(rf"^{metric} (.+)$", self.page(), re.MULTILINE).group(1))

    def cpu(self):
        """Seconds of processor time that the thread of the admin port has taken."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text() == "admin\n":
                return int((task / "schedstat").read_text().split()[0]) / 1e9
        sys.exit("metrics.py: the server has no thread for its admin port")

    def memory(self):
        """Bytes that are resident and not of files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE).group(1)) * 1024

    def settled_memory(self):
        """The same once the allocator has given back what it did not need."""
        seen = [self.memory()]
        while len(seen) < 4 or max(seen[-4:]) - min(seen[-4:]) > 16_384:
            time.sleep(2)
            seen.append(self.memory())
            if len(seen) > 60:
                sys.exit("metrics.py: the memory of the server does not settle")
        return seen[-1]


class Reader(threading.Thread):
    """Reads the page every second until it is stopped."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stopped, self.reads = server, threading.Event(), 0
        self.start()

    def run(self):
        while not self.stopped.wait(1):
            self.server.page()
            self.reads += 1

    def stop(self):
        self.stopped.set()
        self.join()
        return self.reads


def bench(program, server, *arguments):
    url = f"ws://127.0.0.1:{server.port}/client/hubs/chat?user={{id}}"
    return [program, "bench", *arguments, "--wire", "json", "--url", url, "--cpu", "1", "--quiet"]


def echo(program, server, duration, is_read):
    """What a run of echoes found."""
    before = server.cpu()
    reader = Reader(server) if is_read else None
    command = bench(program, server, "echo", "-c", "100", "-i", "16", "--pid", str(server.process.pid), "--duration", duration, "--json", "-")
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)
    if reader:
        found["cpu_per_read"] = (server.cpu() - before) / reader.stop()
    return found


def read_in_a_row(server):
    """Processor time for each read of the page, in seconds, and how long it took."""
    before, begun = server.cpu(), time.monotonic()
    for _ in range(READS):
        server.page()
    return (server.cpu() - before) / READS, (time.monotonic() - begun) / READS


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", default=str(RELEASE / "tieline"))
    options.add_argument("--connections", type=int, default=10_000)
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--duration", default="5s")
    options = options.parse_args()
    program = options.program
    with Server(program) as server:
        idle = subprocess.Popen(
            bench(program, server, "idle", "-c", str(options.connections), "--duration", "3600s"), stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while server.value("tieline_connections") < options.connections:
                if time.monotonic() > end or idle.poll() is not None:
                    sys.exit("metrics.py: the idle clients did not connect")
                time.sleep(0.5)
            # The first reads fill what the allocator keeps for the thread, whatever the number of connections.
            read_in_a_row(server)
            memory = server.settled_memory()
            reads = [read_in_a_row(server) for _ in range(3)]
            grown = (server.settled_memory() - memory) / options.connections
            cost, took = (statistics.median(found) for found in zip(*reads))
            busy, ratios = [], {"arrived_per_second": [], "cpu_per_message_ns": []}
            for number in range(options.pairs):
                order = [True, False] if number % 2 else [False, True]
                runs = {is_read: echo(program, server, options.duration, is_read) for is_read in order}
                busy.append(runs[True]["cpu_per_read"])
                for metric, found in ratios.items():
                    found.append(runs[True][metric] / runs[False][metric])
            size = len(server.page())
        finally:
            idle.kill()
            idle.wait()
    rows = [
        ("connections", f"{options.connections:,}"),
        ("size of the page", f"{size:,} bytes"),
        ("processor time of a read", f"{cost * 1e3:.2f} ms; {took * 1e3:.2f} ms until the reader has it"),
        ("the same while echoes run", f"{statistics.median(busy) * 1e3:.2f} ms ({min(busy) * 1e3:.2f} to {max(busy) * 1e3:.2f})"),
        (f"memory after {3 * READS:,} more reads", f"{grown:+.2f} bytes per connection"),
    ]
    names = {"arrived_per_second": "rate of echoes, read : not read", "cpu_per_message_ns": "processor time of an echo, the same"}
    for metric, found in ratios.items():
        rows.append((names[metric], f"{statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"))
    for what, value in rows:
        print(f"{what:<40}{value}")


if __name__ == "__main__":
    main()
