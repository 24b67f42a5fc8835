"""Clients that come, join a group, talk, and go; and a backend that sends to them.

Owns the load. Must not know what is measured: that is done by probes, whose clients stay.
"""

import asyncio
import random
from collections import Counter

from client import JSON, Refused, Socket

CLIENTS = 240
GROUPS = 24
LIFE = 60.0
"""The mean life of a connection, in seconds."""

SPEAK = 4.0
"""The mean time between two messages of a client, in seconds."""

REQUESTS = 0.15
"""The mean time between two requests of the backend, in seconds."""


class Crowd:
    def __init__(self, nodes):
        self.nodes, self.counts, self.open = nodes, Counter(), set()
        self.moving = True
        self.tasks = []

    def start(self):
        self.tasks = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        self.tasks.append(asyncio.create_task(self._backend()))

    def settle(self):
        """From now on nobody comes or goes by choice, and the backend rests."""
        self.moving = False
        self.tasks.pop().cancel()

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _client(self, number):
        json = number % 3 != 0
        await asyncio.sleep(random.uniform(0, 5))
        while True:
            node = random.choice([node for node in self.nodes if node.up])
            try:
                socket = await Socket.connect(node.port, f"/client/hubs/chat?user=user-{number}", JSON if json else None)
            except Refused as refused:
                self.counts[f"refused {refused.status}"] += 1
                await asyncio.sleep(random.uniform(0.5, 1.5))
                continue
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                self.counts["no connection"] += 1
                await asyncio.sleep(random.uniform(0.5, 1.5))
                continue
            self.counts["connected"] += 1
            self.open.add(socket)
            talk = asyncio.create_task(self._talk(socket, number, json))
            try:
                async for _ in socket.messages():
                    self.counts["received"] += 1
            finally:
                talk.cancel()
                self.open.discard(socket)
                socket.abort()
            self.counts[f"closed {socket.closed}"] += 1
            await asyncio.sleep(random.uniform(0.2, 1))

    async def _talk(self, socket, number, json):
        """Speaks until its life is over: then closes, or vanishes."""
        group, ack = f"group-{number % GROUPS}", 0
        if json:
            socket.send_json({"type": "joinGroup", "group": group, "ackId": 1})
        left = random.expovariate(1 / LIFE)
        while left > 0 or not self.moving:
            pause = random.expovariate(1 / SPEAK)
            await asyncio.sleep(pause)
            left -= pause
            self.counts["sent"] += 1
            ack += 1
            if not json:
                socket.send(b"an event of a simple client")
            elif ack % 8 == 0:
                socket.send_json({"type": "event", "event": "talk", "dataType": "text", "data": "an event"})
            else:
                socket.send_json({"type": "sendToGroup", "group": group, "dataType": "text", "data": "a message " * 20})
        if random.random() < 0.7:
            socket.close()
            await asyncio.sleep(10)
        socket.abort()

    async def _backend(self):
        while True:
            await asyncio.sleep(random.expovariate(1 / REQUESTS))
            node = random.choice([node for node in self.nodes if node.up])
            user, group = random.randrange(CLIENTS), random.randrange(GROUPS)
            path = random.choice([f"/users/user-{user}/:send", f"/groups/group-{group}/:send"])
            try:
                status, missed = await node.send(path, "from the backend")
                self.counts[f"rest {status}" + (" missed" if missed else "")] += 1
            except (OSError, asyncio.TimeoutError):
                self.counts["rest no answer"] += 1
