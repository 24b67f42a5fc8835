"""The quick starts of docs/webpubsub.md for Python do what the page says."""

import os
import subprocess
import sys
import unittest

from kit import DEADLINE, KEY, ROOT, Server, eventually

PAGE = (ROOT / "docs/webpubsub.md").read_text()


def programs(heading):
    """The programs of a section."""
    section = PAGE.split(f"\n{heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    return [part.split("```")[0] for part in section.split("```python\n")[1:]]


class Program:
    """A running program. Leaving the context kills it."""

    def __init__(self, text, env):
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", text],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **env},
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def prints(self, text):
        def is_there():
            self.output += (self.process.stdout.read() or b"").decode()
            return text in self.output

        eventually(f"it prints {text!r}", is_there)


class QuickStarts(unittest.TestCase):
    def serve(self, **env):
        server = Server.serve(**env)
        self.addCleanup(server.stop)
        return server

    def test_a_client_subscribes_and_a_backend_publishes(self):
        server = self.serve(TIELINE_KEY=KEY)
        connection = f"Endpoint={server.url('', 'http')};AccessKey={KEY};Version=1.0;"
        env = {"WebPubSubConnectionString": connection}
        subscribe, publish = programs("### Python")
        with Program(subscribe, env) as client:
            client.prints("connected")
            with Program(publish, env) as backend:
                self.assertEqual(backend.process.wait(DEADLINE), 0)
            client.prints("from the server: hello, all\n")
            client.prints("in the lobby: hello, lobby\n")

    def test_a_client_alone_needs_neither_a_key_nor_a_backend(self):
        server = self.serve()
        (hello,) = programs("## Clients alone")
        with Program(hello.replace("8080", str(server.port)), {}) as client:
            client.prints("grace says hello from Python\n")
