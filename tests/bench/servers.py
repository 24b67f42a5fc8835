"""Ports, and the Redis that measurements start."""

import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on {port}")


@contextmanager
def redis(cpu=0):
    """A Redis on a CPU, by its port."""
    port = free_port()
    process = subprocess.Popen(["taskset", "-c", str(cpu), "redis-server", "--save", "", "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def ask(port, *words):
    """What Redis answers to a command."""
    return subprocess.run(["redis-cli", "-p", str(port), *words], stdout=subprocess.PIPE, text=True, check=True).stdout


def redis_time(port):
    """Seconds of processor time that Redis has used."""
    return sum(map(float, re.findall(r"^used_cpu_(?:user|sys):([0-9.]+)", ask(port, "info", "cpu"), re.MULTILINE)))
