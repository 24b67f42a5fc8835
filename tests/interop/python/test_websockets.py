"""The package `websockets`: messages of every shape, pings, closes, refusals."""

import asyncio
import os
import unittest

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kit import DEADLINE, MESSAGE_LIMIT, Server

PROTOCOL = "json.webpubsub.azure.v1"


class Case(unittest.IsolatedAsyncioTestCase):
    """Tests that share the server of their class and open clients on it."""

    compression = None

    @classmethod
    def setUpClass(cls):
        cls.server = cls.start()
        cls.addClassCleanup(cls.server.stop)

    async def open(self, target="/echo", **options):
        options = {"compression": self.compression, "max_size": 2 * MESSAGE_LIMIT, **options}
        peer = await connect(
            self.server.url(target), proxy=None, open_timeout=DEADLINE, close_timeout=DEADLINE, **options
        )
        self.addAsyncCleanup(peer.close)
        return peer

    async def received(self, peer):
        return await asyncio.wait_for(peer.recv(), DEADLINE)

    async def end(self, peer):
        """The code and the reason of the close that the server sent or answered."""
        with self.assertRaises(ConnectionClosed) as closed:
            while True:
                await self.received(peer)
        return closed.exception.rcvd

    async def refusal(self, target, **options):
        with self.assertRaises(InvalidStatus) as refused:
            await self.open(target, **options)
        return refused.exception.response.status_code


class Messages:
    """Tests for every kind of compression; mixed into the classes below."""

    async def test_text_arrives_unchanged(self):
        peer = await self.open()
        for text in ["", "x", "  \t padded \r\n ", "one\ntwo\n\n", "žluťoučký 漢字 🐎\0", "y" * 65_536]:
            await peer.send(text)
            self.assertEqual(await self.received(peer), text)

    async def test_binary_arrives_unchanged(self):
        peer = await self.open()
        for data in [b"", b"\x00\n\r \xff", os.urandom(65_536)]:
            await peer.send(data)
            self.assertEqual(await self.received(peer), data)

    async def test_fragments_are_reassembled(self):
        peer = await self.open()
        await peer.send(["first, ", "Ř, ", "", "🐎\n"])
        self.assertEqual(await self.received(peer), "first, Ř, 🐎\n")
        parts = [os.urandom(1_000) for _ in range(300)]
        await peer.send(parts)
        self.assertEqual(await self.received(peer), b"".join(parts))

    async def test_a_message_of_exactly_the_limit_passes(self):
        peer = await self.open()
        # Compressible digits: deflate makes random bytes longer.
        text = os.urandom(MESSAGE_LIMIT // 2).hex()
        await peer.send(text)
        self.assertTrue(await self.received(peer) == text)

    async def test_one_byte_more_is_answered_with_1009(self):
        peer = await self.open()
        with self.assertRaises(ConnectionClosed) as closed:
            await peer.send(bytes(MESSAGE_LIMIT + 1))
            await self.received(peer)
        self.assertEqual(closed.exception.rcvd.code, 1009)

    async def test_many_messages_come_back_in_order(self):
        peer = await self.open()
        count = 1_000

        async def send():
            for n in range(count):
                await peer.send(f"{n}\n")

        sending = asyncio.create_task(send())
        for n in range(count):
            self.assertEqual(await self.received(peer), f"{n}\n")
        await sending


class Plain(Messages, Case):
    @staticmethod
    def start():
        return Server.yardstick()

    async def test_no_extension_is_agreed(self):
        peer = await self.open(compression="deflate")
        self.assertNotIn("Sec-WebSocket-Extensions", peer.response.headers)


class Compressed(Messages, Case):
    compression = "deflate"

    @staticmethod
    def start():
        return Server.yardstick("--deflate")

    async def test_permessage_deflate_is_agreed_without_context_takeover(self):
        peer = await self.open()
        agreed = peer.response.headers["Sec-WebSocket-Extensions"]
        for word in ["permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"]:
            self.assertIn(word, agreed)


class Life(Case):
    @staticmethod
    def start():
        return Server.yardstick()

    async def test_a_ping_is_answered_with_its_payload(self):
        peer = await self.open()
        for payload in [b"", b"tick", b"p" * 125]:
            # Settles only when a pong with this payload has arrived.
            await asyncio.wait_for(await peer.ping(payload), DEADLINE)

    async def test_the_clients_close_is_echoed(self):
        for code, reason in [(1000, "done"), (1001, ""), (3001, "ours"), (4999, "ž" * 61)]:
            peer = await self.open()
            await asyncio.wait_for(peer.close(code, reason), DEADLINE)
            self.assertEqual(peer.protocol.close_rcvd.code, code)

    async def test_the_older_of_two_connections_with_one_id_ends_with_4409(self):
        older, newer = await self.open("/ws?id=twice"), await self.open("/ws?id=twice")
        self.assertEqual((await self.end(older)).code, 4409)
        await newer.send("E and the newer lives")
        self.assertEqual(await self.received(newer), "E and the newer lives")

    async def test_a_message_reaches_one_client_by_its_id(self):
        ada, ben = await self.open("/ws?id=ada"), await self.open("/ws?id=ben")
        await ada.send("T:ben: for you\n")
        self.assertEqual(await self.received(ben), " for you\n")
        await ada.send("T:nobody:hello?")
        self.assertRegex(await self.received(ada), "^!")


class Drain(Case):
    @staticmethod
    def start():
        return Server.tieline("serve")

    async def test_sigterm_closes_with_1012_and_exits_with_0(self):
        peer = await self.open("/client/hubs/chat?user=ada")
        self.server.terminate()
        self.assertEqual((await self.end(peer)).code, 1012)
        self.assertEqual(await asyncio.to_thread(self.server.stop), 0)


class Upgrade(Case):
    @staticmethod
    def start():
        return Server.tieline("serve")

    async def test_the_known_subprotocol_is_chosen(self):
        peer = await self.open("/client/hubs/chat?user=ada", subprotocols=["mqtt", PROTOCOL])
        self.assertEqual(peer.subprotocol, PROTOCOL)

    async def test_refusals_have_their_status(self):
        self.assertEqual(await self.refusal("/nowhere"), 404)
        self.assertEqual(await self.refusal("/client/hubs/1?user=ada"), 400)
        foreign = {"origin": "http://elsewhere.example"}
        self.assertEqual(await self.refusal("/client/hubs/chat?user=ada", **foreign), 403)


if __name__ == "__main__":
    unittest.main()
