"""Shared fixtures: a server of the release build on a free port, and deadlines."""

import atexit
import functools
import os
import random
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"

DEADLINE = 15.0
"""The maximum time of a single wait, in seconds."""

MESSAGE_LIMIT = 1024 * 1024


def eventually(what, condition, deadline=DEADLINE):
    """Polls until the condition returns a truthy value."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not so after {deadline} s")
        time.sleep(0.02)


def free_port():
    """A port below the ephemeral ports of the system, so that a server can use it
    again after a restart."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """A process under test: started and ready. The caller stops it."""

    def __init__(self, program, args, port, ready, env=None):
        self.port = port
        self.terminated = False
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [BUILD / program, *args, "--listen", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            # Seconds over which `tieline serve` spreads its closes: 10 by default.
            env={**os.environ, "TIELINE_DRAIN_WINDOW": "1", **(env or {})},
        )
        try:
            eventually(f"{program} is ready", lambda: self._alive() and ready(self))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    @classmethod
    def yardstick(cls, *args):
        return cls("examples/yardstick", args, free_port(), _accepts)

    @classmethod
    def tieline(cls, command, port=None):
        # The demo's second node; the tests use the first.
        second = ["--second", "127.0.0.1:0"] if command == "demo" else []
        return cls("tieline", [command, *second], port or free_port(), _is_ready)

    @classmethod
    def serve(cls, **env):
        """`tieline serve` with these environment variables."""
        return cls("tieline", ["serve"], free_port(), _is_ready, env)

    @classmethod
    def node(cls, registry, env=None):
        """A node of a cluster: `tieline serve`."""
        args = ["serve", "--registry", registry.url, "--peers-listen", f"127.0.0.1:{free_port()}"]
        return cls("tieline", args, free_port(), _is_ready, env)

    def url(self, target, scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}{target}"

    def terminate(self):
        """Asks the process to drain, once: a second signal would stop it immediately."""
        if not self.terminated:
            self.terminated = True
            self.process.terminate()

    def stop(self):
        """Shuts the process down, or kills it; returns its exit status."""
        self.terminate()
        try:
            return self.process.wait(2 * DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()

    def _alive(self):
        if self.process.poll() is None:
            return True
        self.log.seek(0)
        output = self.log.read().decode(errors="replace")[-10_000:]
        raise AssertionError(f"{self.process.args[0]} ended before it was ready: {output}")


class Redis:
    """An empty registry on a free port, from the Debian package. The caller stops it."""

    def __init__(self):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        args = ["--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", tempfile.gettempdir()]
        self.process = subprocess.Popen(["redis-server", *args], stdout=subprocess.DEVNULL)
        eventually("redis-server listens", lambda: _accepts(self))

    def stop(self):
        self.process.kill()
        self.process.wait()


KEY = "an access key of thirty-two bytes"
AWS_KEY_ID, AWS_SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@functools.cache
def two_nodes():
    """Two nodes over Redis, with keys for backends and anonymous clients. They run until the end, because
    in the first lease of a new registry, a missing entry proves nothing, and whoever needs that has to wait."""
    redis = Redis()
    atexit.register(redis.stop)
    env = {
        "TIELINE_KEY": KEY,
        "TIELINE_ANONYMOUS": "loopback",
        "TIELINE_AWS__ACCESS_KEY_ID": AWS_KEY_ID,
        "TIELINE_AWS__SECRET_ACCESS_KEY": AWS_SECRET,
    }
    nodes = []
    for _ in range(2):
        nodes.append(Server.node(redis, env))
        atexit.register(nodes[-1].stop)
    return nodes


def _accepts(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        return True
    except OSError:
        return False


def _is_ready(server):
    try:
        with urllib.request.urlopen(server.url("/readyz", "http"), timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
