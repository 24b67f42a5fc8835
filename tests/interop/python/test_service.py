"""The official Python SDK for backends, unmodified, on one node; its clients, of the official SDK too, on
the other."""

import unittest
from contextlib import contextmanager
from itertools import cycle
from urllib.parse import urlsplit

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.messaging.webpubsubclient import WebPubSubClient
from azure.messaging.webpubsubclient.models import CallbackType, SendMessageError, WebPubSubProtocolType
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from kit import DEADLINE, KEY, eventually, two_nodes

TEXT = {"content_type": "text/plain"}
BINARY = {"content_type": "application/octet-stream"}


class Member:
    """A client on a node other than that of its token."""

    def __init__(self, node, service, protocol, user, **options):
        url = urlsplit(service.get_client_access_token(user_id=user, **options)["url"])
        self.client = WebPubSubClient(
            url._replace(netloc=f"127.0.0.1:{node.port}").geturl(),
            protocol_type=protocol,
            auto_reconnect=False,
            message_retry_total=0,
            # This client misses an ack that arrives before it starts to wait.
            ack_timeout=DEADLINE / 5,
            start_timeout=DEADLINE / 3,
        )
        self.seen = {kind: [] for kind in CallbackType}
        for kind, events in self.seen.items():
            self.client.subscribe(kind, lambda *event, events=events: events.append(event[0] if event else None))
        self.client.open()
        self.id = self.events(CallbackType.CONNECTED, 1)[0].connection_id

    def events(self, kind, count):
        eventually(f"{count} × {kind}", lambda: len(self.seen[kind]) >= count)
        return self.seen[kind]

    def data(self, count, kind=CallbackType.SERVER_MESSAGE):
        """The data of the first messages from the server or of a group."""
        data = [event.data for event in self.events(kind, count)]
        return [bytes(one) if isinstance(one, (memoryview, bytearray)) else one for one in data]

    def goodbye(self):
        """What the server said when it disconnected the client."""
        return self.events(CallbackType.DISCONNECTED, 1)[0].message


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here, cls.there = two_nodes()

    def backend(self, hub, key=KEY):
        endpoint = f"Endpoint={self.here.url('', 'http')};AccessKey={key};Version=1.0;"
        return WebPubSubServiceClient.from_connection_string(endpoint, hub=hub, retry_total=0)

    @contextmanager
    def clients(self, hub, *users, **options):
        """A backend of a hub, and a client for each user, in turn of the subprotocol with sequence numbers,
        which is the default, and without."""
        service, started = self.backend(hub), []
        try:
            kinds = cycle([WebPubSubProtocolType.JSON_RELIABLE, WebPubSubProtocolType.JSON])
            for user, kind in zip(users, kinds):
                started.append(Member(self.there, service, kind, user, **options))
            yield service, *started
        finally:
            for member in started:
                member.client.close()

    def test_sends_to_everyone_a_user_a_connection(self):
        with self.clients("sends", "ada", "ben") as (service, ada, ben):
            service.send_to_all("to ž", **TEXT)
            service.send_to_all({"a": [1, None]}, content_type="application/json")
            service.send_to_all(b"\x00\x01\xff", **BINARY)
            service.send_to_all("for ben", excluded=[ada.id], **TEXT)
            service.send_to_all("for ada", filter="userId eq 'ada'", **TEXT)
            service.send_to_user("ada", "user", **TEXT)
            service.send_to_user("ben", "no", filter="userId ne 'ben'", **TEXT)
            service.send_to_connection(ben.id, {"connection": True})
            service.send_to_all("end", **TEXT)
            common = ["to ž", {"a": [1, None]}, b"\x00\x01\xff"]
            self.assertEqual(ada.data(6), [*common, "for ada", "user", "end"])
            self.assertEqual(ben.data(6), [*common, "for ben", {"connection": True}, "end"])

    def test_changes_groups_and_sends_to_them(self):
        with self.clients("groups", "ada", "ben") as (service, ada, ben):
            group = "g/ 1%+"
            service.add_connection_to_group(group, ada.id)
            service.add_user_to_group(group, "ben")
            service.send_to_group(group, "both", **TEXT)
            service.send_to_group(group, {"to": "ben"}, excluded=[ada.id])
            service.remove_connection_from_group(group, ada.id)
            service.send_to_group(group, "ben", filter=f"'{group}' in groups", **TEXT)
            service.remove_user_from_group(group, "ben")
            service.send_to_group(group, "nobody", **TEXT)
            for name in ["one", "two"]:
                service.add_connection_to_group(name, ada.id)
                service.add_user_to_group(name, "ben")
            service.remove_connection_from_all_groups(ada.id)
            service.remove_user_from_all_groups("ben")
            service.send_to_group("one", "nobody", **TEXT)
            service.send_to_all("end", **TEXT)
            for member in (ada, ben):
                self.assertEqual(member.data(1), ["end"])
            self.assertEqual(ada.data(1, CallbackType.GROUP_MESSAGE), ["both"])
            self.assertEqual(ben.data(3, CallbackType.GROUP_MESSAGE), ["both", {"to": "ben"}, "ben"])

    def test_finds_and_lists_connections_users_and_groups(self):
        with self.clients("finds", "ada/1", "ben") as (service, ada, ben):
            for member in (ada, ben):
                service.add_connection_to_group("g", member.id)
            self.assertTrue(service.connection_exists(ada.id))
            self.assertTrue(service.user_exists("ada/1"))
            self.assertTrue(service.group_exists("g"))
            listed = {(one.connection_id, one.user_id) for one in service.list_connections(group="g")}
            self.assertEqual(listed, {(ada.id, "ada/1"), (ben.id, "ben")})
            self.assertEqual(len(list(service.list_connections(group="g", top=1))), 1)
            self.assertEqual(list(service.list_connections(group="empty")), [])
            eventually("no such connection", lambda: self.status(service.connection_exists, "another") is False)
            self.assertFalse(service.user_exists("another"))
            self.assertFalse(service.group_exists("another"))

    @staticmethod
    def status(call, *arguments):
        """What a call returns, or the status of its error."""
        try:
            return call(*arguments)
        except HttpResponseError as error:
            return error.status_code

    def test_grants_checks_and_revokes_permissions(self):
        with self.clients("permissions", "ada") as (service, ada):
            for permission in ("joinLeaveGroup", "sendToGroup"):
                self.assertFalse(service.has_permission(permission, ada.id, target_name="g"))
                service.grant_permission(permission, ada.id, target_name="g")
                self.assertTrue(service.has_permission(permission, ada.id, target_name="g"))
            ada.client.join_group("g")
            ada.client.send_to_group("g", "permitted", "text")
            self.assertEqual(ada.data(1, CallbackType.GROUP_MESSAGE), ["permitted"])
            service.revoke_permission("sendToGroup", ada.id, target_name="g")
            self.assertFalse(service.has_permission("sendToGroup", ada.id, target_name="g"))
            with self.assertRaises(SendMessageError) as failed:
                ada.client.send_to_group("g", "no", "text")
            self.assertEqual(failed.exception.error_detail.name, "Forbidden")

    def test_disconnects_clients_with_a_reason(self):
        with self.clients("closes", "ada", "ben", "cleo", "dan") as (service, ada, ben, cleo, dan):
            service.close_connection(ada.id, reason="one")
            self.assertIn("one", ada.goodbye())
            service.close_user_connections("ben", reason="two")
            self.assertIn("two", ben.goodbye())
            for member in (cleo, dan):
                service.add_connection_to_group("g", member.id)
            service.close_group_connections("g", reason="three", excluded=[dan.id])
            self.assertIn("three", cleo.goodbye())
            service.close_all_connections(reason="four")
            self.assertIn("four", dan.goodbye())

    def test_a_token_has_roles_and_groups(self):
        options = {"roles": ["webpubsub.joinLeaveGroup.hall"], "groups": ["lobby"]}
        with self.clients("tokens", "ada", **options) as (service, ada):
            service.send_to_group("lobby", "in", **TEXT)
            self.assertEqual(ada.data(1, CallbackType.GROUP_MESSAGE), ["in"])
            ada.client.join_group("hall")
            with self.assertRaises(SendMessageError):
                ada.client.join_group("another")

    def test_errors_are_the_exceptions_of_the_sdk(self):
        service = self.backend("errors")
        missing = ("g", "nobody")
        eventually("no such connection", lambda: self.status(service.add_connection_to_group, *missing) == 404)
        with self.assertRaises(ResourceNotFoundError) as failed:
            service.add_connection_to_group(*missing)
        self.assertEqual(failed.exception.error.code, "Info.Connection.NotExisted")
        with self.assertRaises(HttpResponseError) as failed:
            service.send_to_all("x", filter="userId eq", **TEXT)
        self.assertEqual((failed.exception.status_code, failed.exception.error.code), (400, "Error.BadRequest"))
        with self.assertRaises(ClientAuthenticationError):
            self.backend("errors", KEY.upper()).send_to_all("x", **TEXT)


if __name__ == "__main__":
    unittest.main()
