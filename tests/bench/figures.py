#!/usr/bin/env python3
"""Measures the figures of docs/benchmarks.md and prints them as a table.

    tests/bench/figures.py                 all, five pairs each; about 20 minutes
    tests/bench/figures.py --quick         one to three short runs of some; for CI
    tests/bench/figures.py echo-1 idle     only these
    tests/bench/figures.py --list          list the names
    tests/bench/figures.py --base PATH     compare with an older build of `yardstick` at PATH

The server is the example `yardstick`, release build. It runs on the first CPU, with the baseline and, if
needed, Redis; the load runs on the second. With --base, each ratio is of two yardsticks that get the same
flags. Exits with 1 if a figure is below half of its goal: a shared machine allows no stricter limit. Writes
pages with charts to target/figures.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers import ask, redis, redis_time

ROOT = Path(__file__).resolve().parents[2]
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
PAGES = RELEASE.parent / "figures"

YARDSTICK = shlex.quote(str(RELEASE / "examples" / "yardstick"))
NODE = f"{YARDSTICK} --listen 127.0.0.1:{{port{{name}}}}"
REDIS = 'redis-server --save "" --port {port:redis}'
JOINED = " --registry redis://127.0.0.1:{port:redis}"


def node(name="", flags=""):
    return NODE.replace("{name}", f":{name}" if name else "") + flags


def client(name="", scheme="ws"):
    port = f"{{port:{name}}}" if name else "{port}"
    return f"{scheme}://127.0.0.1:{port}/ws?id={{id}}"


def started(commands, urls, prefix=""):
    """Flags that start servers, and the URLs of their clients."""
    flags = []
    for command in commands:
        flags += [f"--{prefix}start", command]
    for url in urls:
        flags += [f"--{prefix}url", url]
    return flags


SERVE = f"{shlex.quote(str(RELEASE / 'tieline'))} serve --listen 127.0.0.1:{{port}}"
# Tieline's server with clients of the JSON subprotocol, and yardstick with bare frames as the baseline.
JSON = ["--wire", "json", *started([SERVE], ["ws://127.0.0.1:{port}/client/hubs/chat?user={id}"])]
BARE = ["--base-wire", "bare", *started([node()], [client()], "base-")]
# Clients of Pusher Channels and their backends; configuration() writes the files.
APP = PAGES / "pusher.toml"
SECRET = PAGES / "pusher-secret"
PUSHER_SERVE = f"{SERVE} --config {shlex.quote(str(APP))}"
PUSHER_URL = "ws://127.0.0.1:{port}/app/app-key?protocol=7"
SIGNED = ["--token-key", str(SECRET)]
PUSHER = ["--wire", "pusher", *SIGNED, *started([PUSHER_SERVE], [PUSHER_URL])]
PUBLISH = ["--status", "200", "--content-type", "application/json", "--receiver-url", PUSHER_URL, "--receiver-wire", "pusher", *SIGNED]
ONE_EVENT = ["-c", "8", *PUBLISH, "--send", '{"name":"load","channel":"{id}","data":"{payload}"}',
             *started([PUSHER_SERVE], ["http://127.0.0.1:{port}/apps/1/events?auth_key=app-key"])]
# One event of a batch is measured; the others are as long.
OTHER = '{"name":"load","channel":"{id}","data":"' + 64 * "x" + '"}'
TEN_EVENTS = ["-c", "8", *PUBLISH, "--send", '{"batch":[{"name":"load","channel":"{id}","data":"{payload}"},' + ",".join(9 * [OTHER]) + "]}",
              *started([PUSHER_SERVE], ["http://127.0.0.1:{port}/apps/1/batch_events?auth_key=app-key"])]
GROUP = ["--base-on-open", "J:all", "--base-send", "G:all:{payload}"]
ONE = started([node()], [client()])
ECHO = started([node()], ["ws://127.0.0.1:{port}/echo"])
SOCKET = started([node()], ["ws://127.0.0.1:{port}/socket"])
HANDLER = started([node()], ["ws://127.0.0.1:{port}/echo"], "base-")
TWO = started([REDIS, node("a", JOINED), node("b", JOINED)], [client("a"), client("b")])
ONE_NODE = started([node()], [client()], "base-")


def threads(url=client()):
    """Two threads, compared with one."""
    return started([node(flags=" --threads 2")], [url]) + started([node()], [url], "base-")


def against(yardstick, flags):
    """The flags with another yardstick as the baseline, started like the server."""
    pairs = [pair for pair in zip(flags[::2], flags[1::2]) if not pair[0].startswith("--base-")]
    old = shlex.quote(str(yardstick))
    base = [(f"--base-{flag[2:]}", value.replace(YARDSTICK, old)) for flag, value in pairs if flag in ("--start", "--url")]
    return [word for pair in pairs + base for word in pair]


PINNED = ["--server-cpu", "0", "--cpu", "1"]
# A server with two threads needs two CPUs. On a machine with two, the load shares them.
LOOSE = ["--server-cpu", "0,1", "--cpu", "2,3"] if len(os.sched_getaffinity(0)) >= 4 else []


class Ratio:
    """A comparison: `metric` of the server divided by that of the baseline.

    `goal` is for the usual baseline, `base_goal` for an older yardstick; None means that there is no goal.
    """

    def __init__(self, what, goal, scenario, flags, metric="per_second", pins=PINNED, base="the baseline server", base_goal=None):
        self.what, self.goal, self.metric, self.base, self.base_goal = what, goal, metric, base, base_goal
        self.scenario, self.flags = scenario, [*flags, *pins]
        self.at_least = metric == "per_second"

    def is_of_yardstick(self):
        return any(YARDSTICK in value for flag, value in zip(self.flags, self.flags[1:]) if flag == "--start")

    def use_base(self, yardstick):
        """Compares with an older yardstick instead."""
        self.flags = against(yardstick, self.flags)
        self.goal, self.base = self.base_goal, "an older yardstick"

    def measure(self, name, quick):
        length = ["--runs", "3", "--duration", "500ms", "--warm-up", "200ms"] if quick else ["--runs", "5", "--duration", "1s", "--warm-up", "500ms"]
        pairs = bench(["compare", self.scenario, *self.flags, *length], name)["pairs"]
        pairs = [pair for pair in pairs if not pair["faulty"]]
        ratios = sorted(pair["ratios"][self.metric] for pair in pairs)
        middle = lambda side: statistics.median(METRICS[self.metric](pair[side]) for pair in pairs)
        self.ratio = statistics.median(ratios)
        unit = UNITS[self.metric]
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        goal = "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal}"
        return [self.what, unit(middle("base")), unit(middle("server")), f"**{self.ratio:.2f}**", spread, goal]

    def passes(self, slack):
        if self.goal is None:
            return True
        return self.ratio >= self.goal / slack if self.at_least else self.ratio <= self.goal * slack


METRICS = {
    "per_second": lambda run: run["arrived_per_second"],
    "p50": lambda run: run["latency"]["p50_ns"],
    "p99_9": lambda run: run["latency"]["p99_9_ns"],
    "cpu_per_message": lambda run: run["cpu_per_message_ns"],
}
UNITS = {
    "per_second": lambda value: f"{value:,.0f}/s",
    "p50": lambda value: f"{value / 1e3:,.0f} µs",
    "p99_9": lambda value: f"{value / 1e6:,.2f} ms",
    "cpu_per_message": lambda value: f"{value / 1e3:.2f} µs",
}


class Number:
    """An absolute figure, the median of several runs."""

    def __init__(self, what, goal, unit, at_least, run, runs=5):
        self.what, self.goal, self.unit, self.at_least, self.run, self.runs = what, goal, unit, at_least, run, runs

    def measure(self, name, quick):
        values = sorted(self.run(quick) for _ in range(1 if quick else self.runs))
        self.value = statistics.median(values)
        shown = self.unit.format
        sign = "≥" if self.at_least else "≤"
        return [self.what, "", f"**{shown(self.value)}**", "", f"{shown(values[0])} to {shown(values[-1])}", f"{sign} {shown(self.goal)}"]

    def passes(self, slack):
        return self.value >= self.goal / slack if self.at_least else self.value <= self.goal * slack


def bench(arguments, name=None):
    """Runs `tieline bench` and parses its JSON output."""
    pages = []
    if name:
        PAGES.mkdir(parents=True, exist_ok=True)
        pages = ["--html", str(PAGES / f"{name}.html")]
    command = [str(RELEASE / "tieline"), "bench", *arguments, *pages, "--quiet", "--json", "-"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"figures.py: command failed: {shlex.join(command)}")
    return json.loads(done.stdout)


def idle(flags, connections):
    def run(quick):
        arguments = ["idle", "-c", str(connections), *flags, *PINNED, "--duration", "3s"]
        return bench(arguments)["resident_per_connection_bytes"]

    return run


def idle_tls(connections):
    """Over TLS, with a self-signed certificate."""

    def run(quick):
        with tempfile.TemporaryDirectory() as folder:
            cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                 "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                check=True, stderr=subprocess.DEVNULL)
            flags = started([node(flags=f" --cert {cert} --key {key}")], [client(scheme="wss")])
            return idle([*flags, "--insecure"], connections)(quick)

    return run


def after_storms(quick):
    """Resident memory with all connections after three storms, divided by that before them."""
    arguments = ["storm", "-c", "4000" if quick else "16000", "--rounds", "3", *ONE, *PINNED]
    used = bench(arguments)["processes"][0]
    return used["resident_end_bytes"] / used["resident_open_bytes"]


def claims(quick):
    """Fresh claims per second of one node, with Redis on the same CPU."""
    with redis() as port:
        count = "20000" if quick else "100000"
        results = bench(["storm", "--registry", f"redis://127.0.0.1:{port}", "-c", count, "--cpu", "1"])
        return results["fresh"]["per_second"]


def flat(scenario, few, many, flags):
    """CPU time per message with many connections divided by that with few, relative to the baseline server."""

    def run(quick):
        def cost(connections):
            arguments = ["compare", scenario, *flags, *PINNED, "-c", str(connections), "--runs", "3", "--duration", "1s"]
            pairs = bench(arguments)["pairs"]
            return statistics.median(pair["ratios"]["cpu_per_message"] for pair in pairs)

        return cost(many) / cost(few)

    return run


def configuration():
    """The app of Pusher Channels, whose clients may send as much as they can."""
    PAGES.mkdir(parents=True, exist_ok=True)
    SECRET.write_text("0123456789abcdef0123456789abcdef\n")
    SECRET.chmod(0o600)
    APP.write_text(
        f'[[pusher.app]]\nid = "1"\nkey = "app-key"\nsecret = {{ file = "{SECRET}" }}\n'
        "client_events = true\nmax_client_event_rate = 1000000000\n")


def batches(quick):
    """Events per second in batches of ten, divided by those in requests of their own."""
    length = ["--duration", "500ms" if quick else "2s"]
    rate = lambda flags: bench(["rest", *flags, *PINNED, *length])["arrived_per_second"]
    one = rate(ONE_EVENT)
    return 10 * rate(TEN_EVENTS) / one


def joins(quick):
    """Processor time of Redis for a member that enters a presence channel of 100, in microseconds: what clients have cost it
    once all are subscribed, less what clients have that only connect."""
    count = 1000 if quick else 8000

    def used(load, entries, port):
        """Until the sets of this name have an entry of each client."""
        entered = lambda: sum(int(ask(port, "scard", key)) for key in ask(port, "--scan", "--pattern", f"*:{entries}:*").split())
        serve = f"{PUSHER_SERVE} --registry redis://127.0.0.1:{port}"
        target = ["--wire", "pusher", *SIGNED, *started([serve], [PUSHER_URL])]
        with ThreadPoolExecutor() as pool:
            running = pool.submit(bench, [*load, "-c", str(count), *target, *PINNED, "--duration", "5s"])
            while entered() < count:
                if running.done():
                    sys.exit(f"figures.py: not all clients of '{load[0]}' have come into Redis")
                time.sleep(0.2)
            # The node reads what it has written last.
            time.sleep(0.5)
            seconds = redis_time(port)
            running.result()
        return seconds

    members = ["rooms", "--room", "100", "--senders", "1", "--rate", "1", "--warm-up", "100ms"]
    with redis() as one, redis() as other:
        return 1e6 * (used(members, "pn", one) - used(["idle"], "node", other)) / count


MANY = ["-c", "1000"]
BIG = ["-c", "800"]
# One member of a room of two sends, and both receive.
PAIR = ["-c", "2", "--room", "2", "--senders", "1"]
TWO_THREADS = started([node(flags=" --threads 2")], [client()])
FIGURES = {
    "idle": Number("resident bytes per idle connection, 8,000 connections", 950, "{:,.0f}", False, idle(ONE, 8_000)),
    "idle-socket": Number("resident bytes per idle socket, 8,000 connections", 2_500, "{:,.0f}", False, idle(SOCKET, 8_000)),
    "idle-tls": Number("the same with TLS, 4,000 connections", 11_000, "{:,.0f}", False, idle_tls(4_000)),
    "echo-1": Ratio("echo, 100 connections, 1 in flight", 0.90, "echo", ECHO),
    "echo-16": Ratio("echo, 16 in flight", 0.60, "echo", [*ECHO, "-i", "16"]),
    "echo-1-cpu": Ratio("the same, CPU time per message", 1.12, "echo", ECHO, "cpu_per_message"),
    "echo-16-cpu": Ratio("echo, 16 in flight, CPU time per message", 1.4, "echo", [*ECHO, "-i", "16"], "cpu_per_message"),
    "echo-1-cpu-800": Ratio("echo, 800 connections, 1 in flight, CPU time per message", 1.12, "echo", [*ECHO, *BIG], "cpu_per_message"),
    "echo-16-cpu-800": Ratio("echo, 800 connections, 16 in flight, CPU time per message", 1.4, "echo", [*ECHO, *BIG, "-i", "16"], "cpu_per_message"),
    "socket-1": Ratio("echo by a socket, 1 in flight", 0.85, "echo", [*SOCKET, *HANDLER], base="the handler"),
    "socket-16": Ratio("echo by a socket, 16 in flight", 0.85, "echo", [*SOCKET, *HANDLER, "-i", "16"], base="the handler"),
    "rooms-1": Ratio("rooms of 10, 800 connections, 1 in flight", 0.75, "rooms", ONE),
    "rooms-4": Ratio("rooms of 10, 800 connections, 4 in flight", 0.95, "rooms", [*ONE, "-i", "4"]),
    "room-of-ten": Ratio("one room of 10, 1 in flight, p50", None, "rooms", [*ONE, "-c", "10"], "p50", base_goal=0.5),
    "pair": Ratio("one sender in a room of 2, p50", None, "rooms", [*ONE, *PAIR], "p50", base_goal=1.05),
    "broadcast-1": Ratio("broadcast to 1,000, 1 in flight", 0.95, "broadcast", [*ONE, *MANY]),
    "broadcast-16": Ratio("broadcast to 1,000, 16 in flight", 0.95, "broadcast", [*ONE, *MANY, "-i", "16"]),
    "direct-1": Ratio("direct, 100 connections, 1 in flight", 0.85, "direct", ONE),
    "direct-16": Ratio("direct, 16 in flight", 1.2, "direct", [*ONE, "-i", "16"]),
    "across-1": Ratio("emit across two nodes, 1 in flight", 0.55, "direct", TWO),
    "across-16": Ratio("emit across two nodes, 16 in flight", 1.0, "direct", [*TWO, "-i", "16"]),
    "across-pair": Ratio("one pair across nodes, p50", 2.5, "direct", [*TWO, "-c", "2"], "p50"),
    "broadcast-two": Ratio("broadcast to 1,000 over two nodes", 0.85, "broadcast", [*TWO, *MANY, *ONE_NODE], base="one node"),
    "claims": Number("claims per second, Redis on the same machine", 50_000, "{:,.0f}", True, claims),
    "open-broadcast": Ratio("open loop, broadcast, p99.9", 3, "broadcast", [*ONE, *MANY, "--rate", "half"], "p99_9"),
    "open-direct": Ratio("open loop, direct, p99.9", 3, "direct", [*ONE, "--rate", "half"], "p99_9"),
    "json-broadcast": Ratio("sendToGroup to 1,000 clients in JSON", 0.85, "broadcast", [*JSON, *BARE, *GROUP, *MANY], base="yardstick, bare frames"),
    "json-rooms": Ratio("100 clients in JSON that each send to a group of 10", 0.6, "rooms", [*JSON, *BARE, "-c", "100"], base="yardstick, bare frames"),
    "json-idle": Number("resident bytes per idle client in JSON, 8,000 connections", 1_250, "{:,.0f}", False, idle(JSON, 8_000)),
    "pusher-broadcast": Ratio("an event to a channel of 1,000 Pusher clients", 0.85, "broadcast", [*PUSHER, *BARE, *GROUP, *MANY], base="yardstick, bare frames"),
    "pusher-rooms": Ratio("800 Pusher clients that each send to a presence channel of 10", 0.6, "rooms", [*PUSHER, *BARE, *BIG], base="yardstick, bare frames"),
    "pusher-publish": Ratio("signed events over HTTP to a channel of one, 8 connections", 0.4, "rest", ONE_EVENT, base="an axum handler"),
    "pusher-batches": Number("events in batches of 10, relative to one by one", 3, "{:.2f}", True, batches),
    # A room has ten members, unless another number is set.
    "pusher-idle": Number("resident bytes per idle Pusher client in a presence channel of ten, 8,000 connections", 1_700, "{:,.0f}", False, idle([*PUSHER, "--on-open", "presence-{room}"], 8_000)),
    "pusher-idle-alone": Number("the same, each alone in its presence channel", 3_000, "{:,.0f}", False, idle([*PUSHER, "--on-open", "presence-{id}"], 8_000)),
    "pusher-joins": Number("µs of Redis per member that enters a presence channel", 10, "{:.1f}", False, joins),
    "threads-echo": Ratio("echo with two threads, CPU time per message", 1.18, "echo", threads("ws://127.0.0.1:{port}/echo"), "cpu_per_message", LOOSE, "one thread"),
    "threads-broadcast": Ratio("broadcast with two threads, CPU time per message", 1.18, "broadcast", [*threads(), *MANY], "cpu_per_message", LOOSE, "one thread"),
    "threads-direct": Ratio("direct with two threads, CPU time per message", 1.18, "direct", threads(), "cpu_per_message", LOOSE, "one thread"),
    "threads-rooms": Ratio("rooms of 10 with two threads", None, "rooms", threads(), "per_second", LOOSE, "one thread", 2.2),
    "threads-room-of-ten": Ratio("one room of 10 with two threads, p50", None, "rooms", [*TWO_THREADS, "-c", "10"], "p50", LOOSE, base_goal=0.5),
    "threads-pair": Ratio("one sender in a room of 2, two threads, p50", None, "rooms", [*TWO_THREADS, *PAIR], "p50", LOOSE, base_goal=1.05),
    "flat-memory": Number("resident bytes per idle connection, 16,000 connections", 950, "{:,.0f}", False, idle(ONE, 16_000)),
    "flat-broadcast": Number("CPU time per delivery with 16,000 connections, relative to 100 connections; divided by the same ratio of the baseline server", 1.15, "{:.2f}", False, flat("broadcast", 100, 16_000, ONE), 2),
    "flat-echo": Number("CPU time per echo with 16,000 connections, relative to 100 connections; divided by the same ratio of the baseline server", 1.15, "{:.2f}", False, flat("echo", 100, 16_000, ECHO), 2),
    "storm": Number("memory after storms of 16,000 connections, relative to the memory before", 1.10, "{:.2f}", False, after_storms),
}
# The figures for which a short run is enough.
QUICK = ["idle", "echo-1", "echo-16", "rooms-1", "broadcast-1", "broadcast-16", "direct-1", "direct-16", "across-1", "across-16", "across-pair", "broadcast-two", "claims", "storm"]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="short runs, for CI")
    options.add_argument("--list", action="store_true", help="list the names")
    options.add_argument("--base", metavar="PATH", type=Path, help="an older build of yardstick to compare with")
    options.add_argument("names", nargs="*", metavar="NAME")
    options = options.parse_args()
    if options.list:
        return print("\n".join(FIGURES))
    names = options.names or (QUICK if options.quick else list(FIGURES))
    for name in names:
        if name not in FIGURES:
            sys.exit(f"figures.py: unknown figure {name}; use --list for the names")
    if options.base:
        if not options.base.is_file():
            sys.exit(f"figures.py: no yardstick at {options.base}")
        names = [name for name in names if isinstance(FIGURES[name], Ratio) and FIGURES[name].is_of_yardstick()]
        for name in names:
            FIGURES[name].use_base(options.base.resolve())
    configuration()
    print("| what | baseline | Tieline | ratio | spread | goal |\n|---|---|---|---|---|---|")
    failed = []
    for name in names:
        row = FIGURES[name].measure(name, options.quick)
        print("| " + " | ".join(row) + " |", flush=True)
        if not FIGURES[name].passes(2):
            failed.append(name)
    if failed:
        sys.exit(f"below half of the goal: {', '.join(failed)}")


if __name__ == "__main__":
    main()
