#!/usr/bin/env python3
"""Counts the instructions of an echo, and how many of them are in functions whose names match.

    tests/bench/instructions.py -i 1 counters:: is_observed
    tests/bench/instructions.py -i 1 --serve counters::             of `tieline serve`, in JSON
    tests/bench/instructions.py --program PATH -i 16 counters::     another build of the server

Runs `yardstick`, or the server, in valgrind's callgrind, with 100 clients that wait for their echoes, and counts for ten seconds
once all are connected. A function that was inlined counts too. Instructions of the kernel do not, so that the counts
do not vary with the load of the machine. Needs valgrind and llvm-symbolizer (Debian: valgrind llvm), and a build with
line tables, as the release profile has.
"""

import argparse
import collections
import ctypes
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import RELEASE
from servers import free_port, wait_for

SECONDS = 10
# Called once for each echo: the frame of the answer.
ONCE = re.compile(r"AnyFrame::new$")
POSITION = re.compile(r"(0x[0-9a-f]+|\+\d+|-\d+|\*) \S+ (\d+)$")
NAMED = re.compile(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$")


def hide_auxiliary_vector():
    """Makes prctl(PR_GET_AUXV) fail, as on kernels before 6.4: it names a vDSO that valgrind has unmapped."""
    load, equal, answer = 0x20, 0x15, 0x06
    program = [
        (load, 0, 0, 0), (equal, 0, 3, 157),
        (load, 0, 0, 16), (equal, 0, 1, 0x41555856),
        (answer, 0, 0, 0x00050016), (answer, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))

    class Filter(ctypes.Structure):
        _fields_ = [("lines", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Filter(len(program), ctypes.addressof(code))), 0, 0):
        sys.exit("instructions.py: the kernel takes no filter of system calls")


def record(program, is_serve, in_flight, out):
    """Writes what callgrind has counted to `out`."""
    port = free_port()
    callgrind = ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    command = [program, *(["serve", "--admin-listen", "off"] if is_serve else []), "--listen", f"127.0.0.1:{port}"]
    path, wire = ("client/hubs/chat?user={id}", "json") if is_serve else ("echo", "bare")
    server = subprocess.Popen(
        [*callgrind, *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=hide_auxiliary_vector)
    try:
        wait_for(port)
        load = subprocess.Popen(
            [RELEASE / "tieline", "bench", "echo", "-c", "100", "-i", str(in_flight), "--url", f"ws://127.0.0.1:{port}/{path}",
             "--wire", wire, "--duration", f"{SECONDS + 20}s", "--quiet"], stdout=subprocess.DEVNULL)
        time.sleep(8)
        for state in ("on", "off"):
            subprocess.run(["callgrind_control", "-i", state, str(server.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            time.sleep(SECONDS if state == "on" else 0)
        load.kill()
        load.wait()
    finally:
        server.terminate()
        server.wait()


def costs(out, program):
    """The instructions at each address of the program, those of everything, and how many echoes there were."""
    names, current, called, is_call = {"ob": {}, "fn": {}}, None, None, False
    cost, total, echoes, address = collections.Counter(), 0, 0, 0
    for line in out.read_text().splitlines():
        if found := NAMED.match(line):
            of_call, kind, number, name = found.groups()
            name = names[kind].setdefault(number, name)
            if kind == "ob" and not of_call:
                current = name
            elif kind == "fn" and of_call:
                called = name
        elif line.startswith("calls="):
            is_call = True
            echoes += int(line[len("calls="):].split()[0]) if ONCE.search(called) else 0
        elif found := POSITION.match(line):
            step, count = found.groups()
            address = int(step, 16) if step.startswith("0x") else address + (0 if step == "*" else int(step))
            # What a call takes is counted in the function that is called.
            if not is_call:
                total += int(count)
                if current and Path(current).name == Path(program).name:
                    cost[address] += int(count)
            is_call = False
    return cost, total, echoes


def stacks(program, addresses):
    """The functions at each address: that of the instruction, and those it was inlined into."""
    asked = "\n".join(map(hex, addresses))
    command = ["llvm-symbolizer", "--obj", program, "--output-style=JSON", "--inlines"]
    answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in answer.splitlines():
        found = json.loads(line)
        yield int(found["Address"], 16), [frame["FunctionName"] for frame in found["Symbol"]]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--serve", action="store_true", help="measure `tieline serve`")
    options.add_argument("--program", help="the build to measure")
    options.add_argument("-i", "--in-flight", type=int, default=1)
    options.add_argument("patterns", nargs="+", metavar="PATTERN")
    options = options.parse_args()
    program = options.program or str(RELEASE / ("tieline" if options.serve else "examples/yardstick"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        record(program, options.serve, options.in_flight, out)
        cost, total, echoes = costs(out, program)
    matching = collections.Counter()
    for address, names in stacks(program, cost):
        for pattern in options.patterns:
            if any(re.search(pattern, name) for name in names):
                matching[pattern] += cost[address]
    print(f"{echoes:,} echoes, {total / echoes:,.0f} instructions each, without those of the kernel")
    for pattern in options.patterns:
        print(f"{pattern:<24}{matching[pattern] / echoes:8.1f} {100 * matching[pattern] / total:8.2f} %")


if __name__ == "__main__":
    main()
