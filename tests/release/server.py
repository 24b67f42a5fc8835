"""A server that a test starts, and a client of it."""

import base64
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DIST = TARGET / "dist" / "tieline"
DEADLINE = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that serves on a port. It is killed at the end of the `with` block."""

    def __init__(self, command, port, **options):
        self.port = port
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def wait_until_ready(self):
        """Returns the seconds from the start until it was ready."""
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as client:
                    client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if client.recv(100).startswith(b"HTTP/1.1 200"):
                        return time.monotonic() - self.started
            except OSError:
                pass
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"ended with {code}: {self.process.stderr.read()}")
            if time.monotonic() - self.started > DEADLINE:
                raise AssertionError("not ready in time")
            time.sleep(0.001)

    def connect(self):
        """Connects a client of the JSON subprotocol. Returns the first message that it gets."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as client:
            key = base64.b64encode(os.urandom(16)).decode()
            client.sendall(
                "GET /client/hubs/chat?user=ada HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n\r\n".encode()
            )
            stream = client.makefile("rb")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline()
                if not line:
                    raise AssertionError(f"ended after {head}")
                head += line
            if not head.startswith(b"HTTP/1.1 101"):
                raise AssertionError(head.decode())
            _, short = stream.read(2)
            length = int.from_bytes(stream.read(2), "big") if short == 126 else short
            return json.loads(stream.read(length))

    def stop(self):
        """Ends it by SIGTERM. Returns the exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE)

    def anonymous_memory(self):
        """Resident memory that is not of files, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024
