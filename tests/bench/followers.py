#!/usr/bin/env python3
"""Measures what the changes of rosters cost Redis and the nodes that follow, and where they fall behind.

    tests/bench/followers.py                     1, 3, 10 and 30 followers, at doubled rates until they fall behind
    tests/bench/followers.py --followers 3       only 3
    tests/bench/followers.py --seconds 10        longer at each rate

Redis runs on the first CPU; the followers, and the nodes whose users come and go, share the others. The example
`rosters`, release build, is all of them (`cargo build --release -p tieline --all-features --example rosters`). A row
per number of followers and rate: the transitions that the journal has got, the processor time of Redis and of a
follower, each also per transition, and how late one was told, at most and in the end, if another node makes it that
does nothing else. `behind` means later than a second, or told everything anew.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from figures import RELEASE
from servers import ask, redis, redis_time

ROSTERS = str(RELEASE / "examples" / "rosters")
RATES = [2000 * 2**step for step in range(8)]
# Nodes whose users come and go, by the groups that they come into: so none enters whom another has entered.
GROUPS = [1000, 1001, 1003, 1007]
TICKS = os.sysconf("SC_CLK_TCK")
# As late as this, a follower has fallen behind.
BEHIND = 1000


class Follower:
    """A process that follows, and what it has said last."""

    def __init__(self, url, cpus):
        command = ["taskset", "-c", cpus, ROSTERS, "--registry", url, "follow"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append([int(word) for word in line.split()])


@contextmanager
def started(count, url, cpus):
    """So many followers, which are killed at the end."""
    followers = []
    try:
        followers += (Follower(url, cpus) for _ in range(count))
        yield followers
    finally:
        for follower in followers:
            follower.process.kill()
            follower.process.wait()


def processor_time(process):
    """Seconds that a process has used."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def added(port):
    """Transitions that the journal has got so far."""
    keys = ask(port, "--scan", "--pattern", "*:pj").split()
    if not keys:
        return 0
    info = ask(port, "xinfo", "stream", keys[0])
    return int(re.search(r"entries-added\s+(\d+)", info)[1])


def measure(port, followers, rate, seconds, cpus):
    """Yields rate, seconds of Redis and of a follower per second, lateness at most and in the end, and whether any was
    told everything anew."""
    command = ["taskset", "-c", cpus, ROSTERS, "--registry", f"redis://127.0.0.1:{port}", "change"]
    nodes = [subprocess.Popen(command)]
    if rate:
        shares = ["--rate", str(rate // len(GROUPS)), "--groups"]
        nodes += [subprocess.Popen([*command, *shares, str(groups)]) for groups in GROUPS]
    try:
        # Users stay for a second; then as many go as come.
        time.sleep(3)
        for follower in followers:
            follower.lines.clear()
        used = lambda: [redis_time(port), *(processor_time(one.process) for one in followers)]
        began, first, before = time.monotonic(), added(port), used()
        time.sleep(seconds)
        took, last, after = time.monotonic() - began, added(port), used()
        share = [(b - a) / took for a, b in zip(before, after)]
        said = [line for one in followers for line in one.lines]
        latest = max(line[1] for line in said)
        # One that has heard of nothing is later than any.
        silent = any(line[0] == 0 for one in followers for line in one.lines[-2:])
        in_the_end = BEHIND + 1 if silent else max(one.lines[-1][2] for one in followers)
        anew = sum(one.lines[-1][3] - one.lines[0][3] for one in followers)
        return (last - first) / took, share[0], sum(share[1:]) / len(followers), latest, in_the_end, anew
    finally:
        for node in nodes:
            node.kill()
            node.wait()


def rows(count, seconds):
    allowed = sorted(os.sched_getaffinity(0))
    cpus = ",".join(map(str, allowed[1:] or allowed))
    with redis(allowed[0]) as port, started(count, f"redis://127.0.0.1:{port}", cpus) as followers:
        time.sleep(2)
        idle = None
        for rate in [0, *RATES]:
            got, of_redis, of_follower, latest, in_the_end, anew = measure(port, followers, rate, seconds, cpus)
            if idle is None:
                idle = of_redis, of_follower
                continue
            each = [1e6 * (share - rest) / got for share, rest in zip((of_redis, of_follower), idle)]
            behind = " behind" if in_the_end > BEHIND or anew else ""
            print(f"| {count} | {got:,.0f}/s | {of_redis:.0%} | {each[0]:.1f} µs | {of_follower:.0%} | {each[1]:.1f} µs | {latest:,} ms | {in_the_end:,} ms{behind} |", flush=True)
            if behind:
                break


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--followers", type=int, action="append", help="how many, instead of 1, 3, 10 and 30")
    options.add_argument("--seconds", type=float, default=5)
    options = options.parse_args()
    if not os.path.exists(ROSTERS):
        sys.exit(f"followers.py: no example at {ROSTERS}; build it first")
    print("| followers | transitions | Redis | each | a follower | each | late at most | in the end |\n|---|---|---|---|---|---|---|---|")
    for count in options.followers or [1, 3, 10, 30]:
        rows(count, options.seconds)


if __name__ == "__main__":
    main()
