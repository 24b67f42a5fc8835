"""The processes of the test: a registry, an event handler, two nodes, a Prometheus; and clients of the nodes.

Owns what it starts, and stops only that. Must not know the metrics.
"""

import base64
import http.server
import json
import os
import queue
import random
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIELINE = Path(os.environ.get("TIELINE_BIN") or ROOT / "target/release/tieline")
RULES = ROOT / "packaging/prometheus/tieline.rules.yml"

DEADLINE = 60.0
"""The maximum time of a single wait, in seconds."""

TOKEN = "a-token-of-the-test"


def eventually(what, condition):
    """Polls until the condition returns a truthy value."""
    end = time.monotonic() + DEADLINE
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not so after {DEADLINE} s")
        time.sleep(0.05)


def free_port():
    """A port below the ephemeral ports of the system, which nobody gets by chance."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Process:
    """A process that is stopped in the end, and the lines that it logs."""

    def __init__(self, case, arguments, env=None):
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, env={**os.environ, **(env or {})},
        )
        self.lines = queue.Queue()
        # Read on, or a full pipe would block the process.
        threading.Thread(target=self._read, daemon=True).start()
        case.addClassCleanup(self._stop)

    def _read(self):
        for line in self.process.stderr:
            self.lines.put(line)

    def _stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def logged(self, pattern):
        """What the group of the pattern matches in a line of the log, once it is there."""
        end = time.monotonic() + DEADLINE
        while True:
            found = re.search(pattern, self.lines.get(timeout=max(0.1, end - time.monotonic())))
            if found:
                return found[1]


def redis(case):
    """Starts a registry; returns its URL."""
    port, folder = free_port(), tempfile.mkdtemp()
    Process(case, ["redis-server", "--port", port, "--save", "", "--dir", folder])

    def answers():
        try:
            with socket.create_connection(("127.0.0.1", port)) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(7) == b"+PONG\r\n"
        except OSError:
            return False

    eventually("redis answers", answers)
    return f"redis://127.0.0.1:{port}"


class EventHandler(http.server.BaseHTTPRequestHandler):
    """Accepts every event."""

    def do_OPTIONS(self):
        self.send_response(200)
        self.send_header("WebHook-Allowed-Origin", "*")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def event_handler(case):
    """Starts an event handler; returns its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EventHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    case.addClassCleanup(server.server_close)
    case.addClassCleanup(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}/"


def certificate():
    """The flags of a certificate."""
    folder = Path(tempfile.mkdtemp())
    flags = ["--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
         "-subj", "/CN=localhost", "-out", flags[1], "-keyout", flags[3]],
        check=True, capture_output=True,
    )
    return flags


class Node:
    """A node of the cluster, with TLS on a second port, and an admin port that needs a token."""

    def __init__(self, case, registry, handler):
        process = Process(case, [
            TIELINE, "serve", "--listen", "http://127.0.0.1:0,https://127.0.0.1:0", *certificate(),
            "--peers-listen", "127.0.0.1:0",
            "--registry", registry, "--event-handler", handler, "--admin-listen", "127.0.0.1:0",
        ], {"TIELINE_ADMIN_TOKEN": TOKEN})
        self.address = process.logged(r" listening address=(\S+)")
        self.admin = process.logged(r"serving the admin port address=(\S+)")

    def connect(self, query=""):
        """A client without a subprotocol; the upgrade must have the status."""
        host, port = self.address.split(":")
        client = socket.create_connection((host, int(port)), timeout=DEADLINE)
        key = base64.b64encode(random.randbytes(16)).decode()
        client.sendall((
            f"GET /client/hubs/chat{query} HTTP/1.1\r\nHost: {self.address}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        return client, int(head.split()[1])

    def get(self, path):
        """The status of a request of a backend."""
        try:
            return urllib.request.urlopen(f"http://{self.address}{path}", timeout=DEADLINE).status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def send(client, text):
    """Sends a message of up to 125 bytes, masked with zeros."""
    payload = text.encode()
    client.sendall(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)


class Prometheus:
    """A Prometheus that scrapes the nodes every second, with the rules of the package."""

    def __init__(self, case, nodes):
        folder = Path(tempfile.mkdtemp())
        (folder / "token").write_text(TOKEN + "\n")
        # Also valid YAML.
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{
                "job_name": "tieline",
                "authorization": {"credentials_file": str(folder / "token")},
                "static_configs": [{"targets": [node.admin for node in nodes]}],
            }],
        }))
        self.url = f"http://127.0.0.1:{free_port()}"
        Process(case, [
            "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn",
        ])
        eventually("Prometheus is ready", self.is_ready)

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=DEADLINE).status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """The data of an answer; an error of the query is one of the test."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=DEADLINE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression):
        return self.ask("query", query=expression)["result"]
