"""Messages whose way is followed: what has become of each, and how long it took.

Owns a client on each node. A message is expected at each of them that is connected, and ends in one of three ways:
it arrives; somebody is told that it did not (a failed ack, a status, a missed node, an end of the sender's or the
receiver's connection); or it is lost. Messages from one node to another count from the first that arrives after
both have connected, which must happen within `MEET`: before that the nodes do not know each other.
"""

import asyncio
import json
import time
from collections import Counter

from client import JSON, Refused, Socket

EVERY = 0.2
"""The time between two rounds of probes, in seconds."""

LOST = 10.0
"""The time after which a message that has not arrived is lost, in seconds."""

MEET = 20.0
"""The time after which two nodes that are up must reach each other, in seconds."""

KINDS = ("group", "rest", "event")


class Client:
    """A client that always returns to its node. `epoch` counts its connections."""

    def __init__(self, node, probes):
        self.node, self.probes, self.socket, self.joined_at, self.epoch = node, probes, None, None, 0

    async def run(self):
        while True:
            if self.node.up:
                try:
                    await self._connection()
                except (Refused, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                    pass
            await asyncio.sleep(0.2)

    async def _connection(self):
        self.socket = await Socket.connect(self.node.port, f"/client/hubs/chat?user=probe-{self.node.name}", JSON)
        self.socket.send_json({"type": "joinGroup", "group": "probes", "ackId": 1})
        try:
            async for payload in self.socket.messages():
                message = json.loads(payload)
                if message["type"] == "ack":
                    self._acknowledged(message)
                elif message["type"] == "message":
                    self.probes.arrived(int(message["data"].removeprefix("probe ")), self)
        finally:
            self.socket.abort()
            self.joined_at = None
            self.epoch += 1
            self.probes.ended(self)

    def _acknowledged(self, ack):
        if ack["ackId"] == 1:
            assert ack["success"], ack
            self.joined_at = time.monotonic()
        elif not ack["success"]:
            self.probes.told(ack["ackId"], "ack " + ack["error"]["name"])


class Probes:
    def __init__(self, nodes):
        self.clients = [Client(node, self) for node in nodes]
        self.number, self.waiting, self.met, self.finished = 1, {}, {}, {}
        self.outcomes, self.lost, self.latencies, self.window = Counter(), [], [], []
        self.tasks = []

    def start(self):
        self.tasks = [asyncio.create_task(client.run()) for client in self.clients]
        self.tasks.append(asyncio.create_task(self._rounds()))

    async def settle(self):
        """Sends no more, and waits for the end of what is under way."""
        self.tasks.pop().cancel()
        await asyncio.sleep(LOST)
        self._expire()

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _rounds(self):
        turn, requests = 0, set()
        while True:
            await asyncio.sleep(EVERY)
            self._expire()
            ready = [client for client in self.clients if client.joined_at]
            if not ready:
                continue
            turn += 1
            sender, receiver = ready[turn % len(ready)], ready[turn // len(ready) % len(ready)]
            number = self._expect("group", sender, ready)
            sender.socket.send_json({"type": "sendToGroup", "group": "probes", "dataType": "text", "data": f"probe {number}", "ackId": number})
            number = self._expect("event", sender, [sender])
            sender.socket.send_json({"type": "event", "event": "probe", "dataType": "text", "data": f"probe {number}", "ackId": number})
            if self._pair(sender, receiver) in self.met:
                number = self._expect("rest", sender, [receiver])
                request = asyncio.create_task(self._request(sender, receiver, number))
                requests.add(request)
                request.add_done_callback(requests.discard)

    async def _request(self, sender, receiver, number):
        try:
            status, missed = await sender.node.send(f"/users/probe-{receiver.node.name}/:send", f"probe {number}")
        except (OSError, asyncio.TimeoutError):
            return self.told(number, "rest no answer")
        if status != 202 or missed:
            self.told(number, f"rest {status}" + (" missed" if missed else ""))

    @staticmethod
    def _pair(sender, receiver):
        return sender.node.name, sender.epoch, receiver.node.name, receiver.epoch

    def _expect(self, kind, sender, receivers):
        self.number += 1
        self.waiting[self.number] = (kind, sender, time.monotonic(), {client: self._pair(sender, client) for client in receivers})
        return self.number

    def _finish(self, number, client, outcome):
        """Returns the kind, the pair and the seconds, the first time."""
        kind, sender, start, receivers = self.waiting.get(number, (None, None, 0, {}))
        pair = receivers.pop(client, None)
        if not pair:
            return None
        if not receivers:
            del self.waiting[number]
        label = outcome if pair in self.met or outcome == "arrived" or kind == "event" else "before they met"
        self.outcomes[f"{kind} {label}"] += 1
        self.finished[number, client] = label
        return kind, pair, time.monotonic() - start, label

    def arrived(self, number, client):
        done = self._finish(number, client, "arrived")
        if not done:
            before = self.finished.get((number, client), "unknown")
            self.outcomes["late twice" if before == "arrived" else f"late after {before}"] += 1
            return
        kind, pair, seconds, _ = done
        self.met.setdefault(pair, time.monotonic())
        self.latencies.append((time.time(), kind, pair[0], pair[2], seconds))
        self.window.append((kind, pair[0], seconds))

    def told(self, number, why):
        for client in list(self.waiting.get(number, (0, 0, 0, {}))[3]):
            self._finish(number, client, f"told: {why}")

    def ended(self, client):
        """What it has sent, and what was for it, is told by the end of its connection."""
        for number, (_, sender, _, receivers) in list(self.waiting.items()):
            for receiver in list(receivers):
                if client in (sender, receiver):
                    self._finish(number, receiver, "told: connection ended")

    def _expire(self):
        now = time.monotonic()
        for number, (_, sender, start, receivers) in list(self.waiting.items()):
            if now - start < LOST:
                continue
            for receiver in list(receivers):
                known = now - max(sender.joined_at or now, receiver.joined_at or now) > MEET
                if known:
                    self.met.setdefault(receivers[receiver], now)
                done = self._finish(number, receiver, "lost")
                if done and done[3] == "lost":
                    self.lost.append((time.time(), *done[:2]))

    def take_window(self):
        window, self.window = self.window, []
        return window
