"""The processes of the soak: a Redis, three nodes that can be killed, and an event handler.

Owns what it starts, and stops only that. Must not know the clients.
"""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

from client import request, token

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TIELINE = Path(os.environ.get("TIELINE_BIN") or TARGET / "release/tieline")
KEY = secrets.token_urlsafe(36)
READY = 60.0
"""The maximum time from the start of a node until it is ready, in seconds: a killed one holds its lease for ten."""


def free_port():
    """A port that the system gave out and nobody has taken since; all nodes keep theirs over restarts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    def __init__(self, folder):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(folder)],
            stdin=subprocess.DEVNULL, stdout=open(folder / "redis.log", "w"), stderr=subprocess.STDOUT,
        )
        self.url = f"redis://127.0.0.1:{self.port}"

    def ask(self, *words):
        """What redis-cli prints, a line each."""
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.check_output(command, text=True).splitlines()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Node:
    """A node with fixed ports. `up` says that clients may come."""

    def __init__(self, name, redis, handler_port, folder):
        self.name, self.port, self.admin, self.up = name, free_port(), free_port(), False
        self.log = open(folder / f"{name}.log", "a")
        self.command = [
            TIELINE, "serve", "--listen", f"127.0.0.1:{self.port}", "--peers-listen", f"127.0.0.1:{free_port()}",
            "--registry", redis.url, "--admin-listen", f"127.0.0.1:{self.admin}", "--anonymous",
            "--event-handler", f"http://127.0.0.1:{handler_port}/",
        ]
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    async def start(self):
        """Returns the seconds until it was ready."""
        started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, "TIELINE_KEY": KEY, "TOKIO_WORKER_THREADS": "2"},
        )
        while True:
            try:
                if (await request(self.port, "GET", "/readyz"))[0] == 200:
                    break
            except (OSError, asyncio.TimeoutError):
                pass
            if self.process.poll() is not None or time.monotonic() - started > READY:
                raise AssertionError(f"node {self.name} is not ready; see its log")
            await asyncio.sleep(0.1)
        self.up = True
        return time.monotonic() - started

    async def end(self, how):
        """By SIGKILL or SIGTERM. Returns the exit code, negative for a signal."""
        self.up = False
        self.process.send_signal(how)
        return await asyncio.to_thread(self.process.wait, 60)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()

    async def send(self, path, body, content="text/plain"):
        """A request of a backend: the status, and how many nodes it did not reach."""
        path = f"/api/hubs/chat{path}"
        bearer = token(KEY, f"http://127.0.0.1:{self.port}{path}")
        headers = [f"Authorization: Bearer {bearer}", f"Content-Type: {content}"]
        status, fields, _ = await request(self.port, "POST", path, headers, body.encode())
        return status, int(fields.get("tieline-missed", 0))


class EventHandler:
    """Admits everybody and answers each event of a client with the same text. Counts events by type."""

    def __init__(self):
        self.events, self.server, self.port = {}, None, None

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                kind = fields.get("ce-type", "validation").removeprefix("azure.webpubsub.")
                self.events[kind] = self.events.get(kind, 0) + 1
                answer = body if kind.startswith("user.") else b""
                status = "200 OK" if answer else "204 No Content"
                content = f"Content-Type: text/plain\r\nContent-Length: {len(answer)}\r\n" if answer else ""
                writer.write(f"HTTP/1.1 {status}\r\nWebHook-Allowed-Origin: *\r\n{content}\r\n".encode() + answer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass # The run has ended, or the node has.
        finally:
            writer.close()


async def faults(nodes, every, events, stopping):
    """Kills or drains a node and starts it again, in turns. The first node lives to the end, so its growth can be seen."""
    turns = [(nodes[1], signal.SIGKILL), (nodes[2], signal.SIGTERM), (nodes[2], signal.SIGKILL), (nodes[1], signal.SIGTERM)]
    turn = 0
    while not await stopping(every):
        node, how = turns[turn % len(turns)]
        turn += 1
        at = time.time()
        code = await node.end(how)
        if how == signal.SIGTERM and code != 0:
            raise AssertionError(f"node {node.name} drained with the exit code {code}")
        ended = time.time()
        await asyncio.sleep(3)
        took = await node.start()
        events.append({"at": at, "node": node.name, "how": how.name, "ended_after": ended - at, "ready_after": took})
