"""The server library of Pusher Channels on one of two nodes, Pysher on the other."""

import atexit
import functools
import json
import logging
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pusher
import pysher
from pusher.errors import PusherBadAuth, PusherBadStatus

from kit import DEADLINE, ROOT, Redis, Server, eventually

APP = {"app_id": "1", "key": "278d425bdf160c739803", "secret": "7ad3773142a6692b25b8"}
MASTER_KEY = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="

CONFIGURATION = f"""
[[pusher.app]]
id = "{APP["app_id"]}"
key = "{APP["key"]}"
secret = {{ env = "PUSHER_SECRET" }}
client_events = true
"""


@functools.cache
def nodes():
    """Two nodes, until the end."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    file = Path(folder.name) / "tieline.toml"
    file.write_text(CONFIGURATION)
    redis = Redis()
    atexit.register(redis.stop)
    env = {"TIELINE_CONFIG": os.fspath(file), "PUSHER_SECRET": APP["secret"]}
    both = [Server.node(redis, env) for _ in range(2)]
    for node in both:
        atexit.register(node.stop)
    return both


class Client:
    """A client of Pysher on the second node, with what it hears."""

    def __init__(self, test, user="ada"):
        member = {"user_id": user, "user_info": {"name": f"{user} ž"}}
        self.pusher = pysher.Pusher(
            APP["key"], secret=APP["secret"], user_data=member, log_level=logging.CRITICAL,
            custom_host="127.0.0.1", port=nodes()[1].port, secure=False,
        )
        self.heard = []
        self.subscribed = set()
        self._watch(self.pusher.connection)
        self.pusher.connect()
        test.addCleanup(self.pusher.disconnect, 0.1)
        eventually(f"{user} is connected", lambda: self.pusher.connection.state == "connected")

    @property
    def id(self):
        return self.pusher.connection.socket_id

    def _watch(self, connection):
        """Notes subscriptions. Pysher knows a channel only after it has asked for it, and forgets an answer that
        is faster than that."""
        handle = connection.event_handler

        def watch(event, data, channel):
            if event == "pusher_internal:subscription_succeeded":
                self.subscribed.add(channel)
            handle(event, data, channel)

        connection.event_handler = watch

    def subscribe(self, name, *events, auth=None):
        channel = self.pusher.subscribe(name, auth=auth)
        for event in events:
            channel.bind(event, lambda data, event=event: self.heard.append((event, data)))
        eventually(f"{name} is subscribed", lambda: name in self.subscribed)
        return channel

    def hears(self, event):
        """Waits until an event of this name was heard; takes it, and returns its data."""
        of = lambda: [each for each in self.heard if each[0] == event]
        eventually(f"an event {event}", of)
        found = of()[0]
        self.heard.remove(found)
        return found[1]


class OnTwoNodes(unittest.TestCase):
    def backend(self, **options):
        here = nodes()[0]
        given = {**APP, "host": "127.0.0.1", "port": here.port, "ssl": False, **options}
        return pusher.Pusher(encryption_master_key_base64=MASTER_KEY, **given)

    def test_events_arrive_as_they_were_published(self):
        service, ada, ben = self.backend(), Client(self), Client(self, "ben")
        for client in (ada, ben):
            client.subscribe("news", "first", "text", "end")
        service.trigger(["news", "other"], "first", {"text": "ž"})
        service.trigger("news", "text", "no JSON", ben.id)
        service.trigger_batch([{"channel": "news", "name": "end", "data": "[1]"}])
        self.assertEqual(json.loads(ada.hears("first")), {"text": "ž"})
        self.assertEqual(ada.hears("text"), "no JSON")
        for client in (ada, ben):
            self.assertEqual(client.hears("end"), "[1]")
        self.assertNotIn("text", [event for event, _ in ben.heard])

    def test_private_channels_and_events_of_clients(self):
        ada, ben = Client(self), Client(self, "ben")
        # The signature of the server library, as of an application.
        auth = self.backend().authenticate("private-room", ada.id)["auth"]
        channel = ada.subscribe("private-room", auth=auth)
        ben.subscribe("private-room", "client-typing")
        channel.trigger("client-typing", {"by": "ada"})
        self.assertIn("ada", str(ben.hears("client-typing")))

    def test_members_and_questions(self):
        service, ada = self.backend(), Client(self)
        ada.subscribe("presence-room", "pusher_internal:member_added", "pusher_internal:member_removed")
        ben = Client(self, "ben")
        ben.subscribe("presence-room")
        added = json.loads(ada.hears("pusher_internal:member_added"))
        self.assertEqual(added, {"user_id": "ben", "user_info": {"name": "ben ž"}})
        info = service.channel_info("presence-room", ["user_count"])
        self.assertEqual(info, {"occupied": True, "user_count": 2})
        users = service.users_info("presence-room")["users"]
        self.assertEqual(sorted(user["id"] for user in users), ["ada", "ben"])
        listed = service.channels_info("presence-room", ["user_count"])
        self.assertEqual(listed, {"channels": {"presence-room": {"user_count": 2}}})
        ben.pusher.unsubscribe("presence-room")
        removed = json.loads(ada.hears("pusher_internal:member_removed"))
        self.assertEqual(removed, {"user_id": "ben"})

    def test_encrypted_channels_and_users(self):
        service, ada = self.backend(), Client(self)
        name = "private-encrypted-room"
        ada.subscribe(name, "secret")
        service.trigger(name, "secret", {"text": "ž"})
        # Pysher does not decrypt.
        self.assertEqual(sorted(json.loads(ada.hears("secret"))), ["ciphertext", "nonce"])
        signed = service.authenticate_user(ada.id, {"id": "ada"})
        ada.pusher.connection.send_event("pusher:signin", signed)
        ada.subscribe("#server-to-user-ada", "letter")
        service.send_to_user("ada", "letter", {"n": 1})
        self.assertEqual(json.loads(ada.hears("letter")), {"n": 1})
        service.terminate_user_connections("ada")
        eventually("ada is closed", lambda: ada.pusher.connection.state != "connected")

    def test_the_quick_start_of_the_page(self):
        ada = Client(self)
        ada.subscribe("news", "greeting")
        page = (ROOT / "docs/pusher.md").read_text()
        program = page.split("\n### Python\n")[1].split("```python\n")[1].split("```")[0]
        program = program.replace("8080", str(nodes()[0].port)).replace("app-key", APP["key"])
        env = {**os.environ, "APP_SECRET": APP["secret"]}
        subprocess.run([sys.executable, "-c", program], env=env, timeout=DEADLINE, check=True)
        self.assertEqual(json.loads(ada.hears("greeting")), {"text": "hello from Python"})

    def test_errors(self):
        with self.assertRaises(PusherBadAuth):
            self.backend(secret="another").trigger("news", "event", {})
        with self.assertRaisesRegex(PusherBadStatus, "413"):
            self.backend().trigger("news", "event", "x" * 10_241)
