#!/usr/bin/env python3
"""Runs the Autobahn|Testsuite against the example `yardstick` and checks the results.

    tests/autobahn/run.py [--server PROGRAM | --url URL] [CASE...]

Without cases, runs sections 1 to 7, 9, 10, 12 and 13 (8 does not exist, 11 is
empty). Fails if a case fails or has not run. The pages of the suite, with every
byte of every case, are in target/autobahn-report.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
SUITE = TARGET / "autobahn"
REPORT = TARGET / "autobahn-report"

# Section 9 sends messages of up to 16 MiB, in as many as 65,536 fragments and an
# empty last one.
LIMITS = ["--message-limit", str(16 << 20), "--fragments", "65537", "--outbox-bytes", str(64 << 20), "--deflate"]

# Run in parallel, the longest first: the suite waits for each echo, so that a
# single lane leaves a core idle. Together they have all cases.
LANES = [
    ["12.2.*", "12.3.*"],
    ["12.1.*", "12.4.*", "12.5.*"],
    ["13.*"],
    ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"],
]
LANE_DEADLINE = 1200

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
# These request a compression window of 9 bits. Tieline compresses a message once
# for all receivers, so it declines the offer, and there is nothing to test.
DECLINED = ("13.3.", "13.5.")
# The suite also rates how a connection closed, with one more verdict.
PASSED_CLOSE = {"OK", "INFORMATIONAL"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--server", type=Path, default=TARGET / "release/examples/yardstick")
    arguments.add_argument("--url", help="test a server that runs already")
    arguments.add_argument("cases", nargs="*", metavar="CASE", help='such as 9.1.6 or "5.*"')
    options = arguments.parse_args()

    subprocess.run([HERE / "setup.sh", SUITE], check=True)
    shutil.rmtree(REPORT, ignore_errors=True)
    lanes = [options.cases] if options.cases else LANES
    if options.url:
        results = run_all(options.url, lanes)
    else:
        with serving(options.server) as url:
            results = run_all(url, lanes)
    return check_results(results)


@contextmanager
def serving(program):
    """The server on a free port; it has to survive and to shut down cleanly."""
    with socket.socket() as probe:
        while probe.getsockname()[1] == 0:
            try:
                probe.bind(("127.0.0.1", random.randrange(20_000, 30_000)))
            except OSError:
                continue
        port = probe.getsockname()[1]
    REPORT.mkdir(parents=True)
    with (REPORT / "server.log").open("w") as log:
        command = [program, "--listen", f"127.0.0.1:{port}", *LIMITS]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until_it_listens(server, port)
        yield f"ws://127.0.0.1:{port}/echo"
        server.terminate()
        if (status := server.wait(60)) != 0:
            sys.exit(f"autobahn: the server ended with status {status}; see {log.name}")
    finally:
        server.kill()
        server.wait()


def wait_until_it_listens(server, port):
    end = time.monotonic() + 15
    while time.monotonic() < end and server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
    sys.exit(f"autobahn: the server does not listen; see {REPORT}/server.log")


def run_all(url, lanes):
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = [pool.submit(run_lane, url, cases, REPORT / str(number)) for number, cases in enumerate(lanes, 1)]
        results = {}
        for run in runs:
            results.update(run.result())
    return results


def run_lane(url, cases, report):
    """The verdicts of the suite, by case."""
    spec = json.loads((HERE / "spec.json").read_text())
    spec.update({"outdir": str(report), "cases": cases})
    spec["servers"][0]["url"] = url
    report.mkdir(parents=True)
    spec_file, log_file = report / "spec.json", report / "wstest.log"
    spec_file.write_text(json.dumps(spec))
    started = time.monotonic()
    with log_file.open("w") as log:
        command = [SUITE / "wstest", "-m", "fuzzingclient", "-s", spec_file]
        subprocess.run(command, stdout=log, stderr=log, cwd=report, check=True, timeout=LANE_DEADLINE)
    # If the server is unreachable, the suite stops without an error.
    announced = re.search(r"will run (\d+) test cases", log_file.read_text())
    index = json.loads((report / "index.json").read_text()).get("tieline", {})
    print(f"autobahn: {len(index)} cases of {' '.join(cases)} in {time.monotonic() - started:.0f} s", flush=True)
    if not announced or len(index) != int(announced[1]) or not index:
        sys.exit(f"autobahn: {len(index)} cases have run, expected {announced and announced[1]}; see {log_file}")
    return index


def check_results(results):
    """Prints the results and returns the exit status."""
    named = {"NON-STRICT": [], "INFORMATIONAL": [], "failed": []}
    for case, verdict in sorted(results.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        behaviour, close = verdict["behavior"], verdict["behaviorClose"]
        declined = behaviour == "UNIMPLEMENTED" and case.startswith(DECLINED)
        if not (declined or behaviour in PASSED) or close not in PASSED_CLOSE:
            named["failed"].append(f"{case} ({behaviour}, close {close}, code {verdict['remoteCloseCode']})")
        elif behaviour in named:
            named[behaviour].append(case)
    counts = Counter(verdict["behavior"] for verdict in results.values())
    print(f"autobahn: {len(results)} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    if counts["UNIMPLEMENTED"]:
        print("autobahn: UNIMPLEMENTED: declined offers: " + ", ".join(part + "*" for part in DECLINED))
    for what, cases in named.items():
        if cases:
            print(f"autobahn: {what}: " + ", ".join(cases))
    return 1 if named["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
