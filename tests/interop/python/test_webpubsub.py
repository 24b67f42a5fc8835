"""The official Python client of Web PubSub, unmodified, with the JSON subprotocol."""

import unittest
from contextlib import contextmanager

from azure.messaging.webpubsubclient import WebPubSubClient
from azure.messaging.webpubsubclient.models import (
    CallbackType,
    SendMessageError,
    WebPubSubDataType,
    WebPubSubProtocolType,
)

from kit import DEADLINE, Server, eventually

HUB = "/client/hubs/chat"


class Member:
    """A client of the package, with its received messages."""

    def __init__(self, server, user, **options):
        options = {
            "protocol_type": WebPubSubProtocolType.JSON,
            # No retries, so that failures show.
            "message_retry_total": 0,
            # This client misses an ack that arrives before it starts to wait, and
            # notices it only after its timeout (30 s by default).
            "ack_timeout": DEADLINE / 5,
            "start_timeout": DEADLINE / 3,
            "reconnect_retry_total": 100,
            "reconnect_retry_backoff_factor": 0.1,
            "reconnect_retry_backoff_max": 0.5,
            **options,
        }
        self.client = WebPubSubClient(server.url(f"{HUB}?user={user}"), **options)
        self.seen = {kind: [] for kind in CallbackType}
        for kind, events in self.seen.items():
            self.client.subscribe(kind, lambda *event, events=events: events.append(event[0] if event else None))

    def events(self, kind, count):
        eventually(f"{count} × {kind}", lambda: len(self.seen[kind]) >= count)
        return self.seen[kind]

    def answer(self, kind, wanted=lambda data: True):
        """The data of the first matching message of this kind from the server."""

        def find():
            data = [event.data for event in self.seen[CallbackType.SERVER_MESSAGE]]
            return next((one for one in data if one["kind"] == kind and wanted(one)), None)

        return eventually(f"an answer {kind}", find)


@contextmanager
def members(server, *users, **options):
    started = []
    try:
        for user in users:
            member = Member(server, user, **options)
            started.append(member)
            member.client.open()
            member.events(CallbackType.CONNECTED, 1)
        yield started
    finally:
        for member in started:
            member.client.close()


class Serve(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server.tieline("serve")
        cls.addClassCleanup(cls.server.stop)

    def test_connects_and_knows_its_user_and_connection(self):
        with members(self.server, "ada", "ben") as started:
            events = [member.seen[CallbackType.CONNECTED][0] for member in started]
            self.assertEqual([event.user_id for event in events], ["ada", "ben"])
            self.assertEqual(len({event.connection_id for event in events}), 2)

    def test_sends_every_data_type_to_a_group(self):
        with members(self.server, "ada", "ben") as (ada, ben):
            for member in (ada, ben):
                member.client.join_group("g1")
            ada.client.send_to_group("g1", " text,\n kept ", WebPubSubDataType.TEXT)
            ada.client.send_to_group("g1", {"deep": [1, "zwei"], "ž": True}, WebPubSubDataType.JSON)
            ada.client.send_to_group("g1", memoryview(b"\x00\x01\xff"), WebPubSubDataType.BINARY)
            for member in (ada, ben):
                text, json, binary = member.events(CallbackType.GROUP_MESSAGE, 3)
                self.assertEqual((text.group, text.from_user_id), ("g1", "ada"))
                self.assertEqual(text.data, " text,\n kept ")
                self.assertEqual(json.data, {"deep": [1, "zwei"], "ž": True})
                self.assertEqual(bytes(binary.data), b"\x00\x01\xff")

    def test_no_echo_excludes_the_sender_and_former_members_receive_nothing(self):
        with members(self.server, "ada", "ben", "cleo") as (ada, ben, cleo):
            for member in (ada, ben, cleo):
                member.client.join_group("g2")
            cleo.client.leave_group("g2")
            ada.client.send_to_group("g2", "without me", WebPubSubDataType.TEXT, no_echo=True)
            ada.client.send_to_group("g2", "for all", WebPubSubDataType.TEXT)
            heard = [event.data for event in ben.events(CallbackType.GROUP_MESSAGE, 2)]
            self.assertEqual(heard, ["without me", "for all"])
            self.assertEqual([event.data for event in ada.events(CallbackType.GROUP_MESSAGE, 1)], ["for all"])
            # Acknowledged after all messages that could have been sent to her.
            cleo.client.join_group("g3")
            self.assertEqual(cleo.seen[CallbackType.GROUP_MESSAGE], [])

    def test_an_ack_id_that_succeeded_is_not_carried_out_again(self):
        with members(self.server, "ada") as (ada,):
            ada.client.join_group("g4")
            for text in ("once", "twice"):
                ada.client.send_to_group("g4", text, WebPubSubDataType.TEXT, ack_id=701)
            ada.client.send_to_group("g4", "last", WebPubSubDataType.TEXT)
            heard = [event.data for event in ada.events(CallbackType.GROUP_MESSAGE, 2)]
            self.assertEqual(heard, ["once", "last"])

    def test_half_a_surrogate_pair_fails_and_the_connection_stays(self):
        with members(self.server, "ada") as (ada,):
            ada.client.join_group("g5")
            for data, kind in (("\ud83d", WebPubSubDataType.TEXT), ({"a": "\ude00"}, WebPubSubDataType.JSON)):
                with self.assertRaises(SendMessageError) as failed:
                    ada.client.send_to_group("g5", data, kind)
                self.assertEqual(failed.exception.error_detail.name, "BadRequest")
            ada.client.send_to_group("g5", "\U0001f600", WebPubSubDataType.TEXT)
            heard = [event.data for event in ada.events(CallbackType.GROUP_MESSAGE, 1)]
            self.assertEqual(heard, ["\U0001f600"])
            self.assertEqual(ada.seen[CallbackType.DISCONNECTED], [])

    def test_an_event_without_a_handler_fails(self):
        with members(self.server, "ada") as (ada,):
            with self.assertRaises(SendMessageError) as failed:
                ada.client.send_event("any", {"a": 1}, WebPubSubDataType.JSON)
            self.assertEqual(failed.exception.error_detail.name, "InternalServerError")

    def test_the_default_reliable_subprotocol_works(self):
        with members(self.server, "ada", protocol_type=WebPubSubProtocolType.JSON_RELIABLE) as (ada,):
            ada.client.join_group("g6")
            for text in ("one", "two"):
                ada.client.send_to_group("g6", text, WebPubSubDataType.TEXT)
            got = ada.events(CallbackType.GROUP_MESSAGE, 2)
            self.assertEqual([(event.sequence_id, event.data) for event in got], [(1, "one"), (2, "two")])


class Demo(unittest.TestCase):
    def test_the_handler_answers_and_refuses(self):
        server = Server.tieline("demo")
        self.addCleanup(server.stop)
        with members(server, "ada", "ben") as (ada, ben):
            ada.client.send_event("online", {}, WebPubSubDataType.JSON)
            # The demo also sends it whenever somebody comes or goes.
            online = ada.answer("online", lambda data: data["total"] == 2)
            self.assertEqual(sorted(online["users"]), ["ada", "ben"])

            ada.client.send_event("direct", {"to": "ben", "text": "psst"}, WebPubSubDataType.JSON)
            for member in (ada, ben):
                direct = {"kind": "direct", "from": "ada", "to": "ben", "text": "psst"}
                self.assertEqual(member.answer("direct"), direct)

            with self.assertRaises(SendMessageError) as failed:
                ada.client.send_event("direct", {"to": "nobody", "text": "psst"}, WebPubSubDataType.JSON)
            self.assertEqual(failed.exception.error_detail.name, "Offline")


class Restart(unittest.TestCase):
    def test_the_client_reconnects_and_joins_its_groups_again(self):
        server = Server.tieline("serve")
        self.addCleanup(lambda: server.stop())
        with members(server, "ada", "ben") as (ada, ben):
            for member in (ada, ben):
                member.client.join_group("g")
            server.stop()
            for member in (ada, ben):
                member.events(CallbackType.DISCONNECTED, 1)
            server = Server.tieline("serve", server.port)
            for member in (ada, ben):
                member.events(CallbackType.CONNECTED, 2)

            def heard():
                # The client joins its groups again in another thread, after it has reported that it is
                # connected, so the first of these may be too early.
                ada.client.send_to_group("g", "after the restart", WebPubSubDataType.TEXT, no_echo=True)
                return ben.seen[CallbackType.GROUP_MESSAGE]

            self.assertEqual(eventually("a group message", heard)[0].data, "after the restart")


if __name__ == "__main__":
    unittest.main()
