"""The official Python SDKs with `async`, unmodified: the backend on one node, its clients on the other."""

import asyncio
import unittest
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.messaging.webpubsubclient.aio import WebPubSubClient, WebPubSubClientCredential
from azure.messaging.webpubsubclient.models import CallbackType, SendMessageError, WebPubSubDataType
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient

from kit import DEADLINE, KEY, two_nodes

ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]


class Aio(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.here, cls.there = two_nodes()

    async def asyncSetUp(self):
        endpoint = f"Endpoint={self.here.url('', 'http')};AccessKey={KEY};Version=1.0;"
        hub = self._testMethodName
        self.service = WebPubSubServiceClient.from_connection_string(endpoint, hub=hub, retry_total=0)
        self.addAsyncCleanup(self.service.close)

    async def client(self, user, roles=ROLES):
        """A client on the other node with its default protocol, its id, and a queue for each kind of event."""

        async def url():
            token = await self.service.get_client_access_token(user_id=user, roles=roles)
            return urlsplit(token["url"])._replace(netloc=f"127.0.0.1:{self.there.port}").geturl()

        client = WebPubSubClient(
            WebPubSubClientCredential(url), reconnect_retry_total=0, message_retry_total=0, ack_timeout=DEADLINE
        )
        queues = {kind: asyncio.Queue() for kind in CallbackType}
        for kind, queue in queues.items():

            async def put(*event, queue=queue):
                queue.put_nowait(event[0] if event else None)

            await client.subscribe(kind, put)
        await client.open()
        self.addAsyncCleanup(client.close)

        async def seen(kind):
            return await asyncio.wait_for(queues[kind].get(), DEADLINE)

        connected = await seen(CallbackType.CONNECTED)
        return client, connected.connection_id, seen

    async def settled(self, call, *args):
        """The outcome of a call once it is known: in the first lease of a registry, a missing entry proves
        nothing, and the response is 503."""
        while True:
            try:
                return await call(*args)
            except HttpResponseError as error:
                if error.status_code != 503:
                    raise
            await asyncio.sleep(0.1)

    async def test_a_backend_sends_to_clients_and_groups(self):
        _, id, seen = await self.client("ada")
        text = {"content_type": "text/plain"}
        await self.service.send_to_all("to all", **text)
        await self.service.send_to_user("ada", "to ada", **text)
        await self.service.send_to_connection(id, {"a": [1]})
        await self.service.add_connection_to_group("lobby", id)
        await self.service.send_to_group("lobby", "to the lobby", **text)
        data = [(await seen(CallbackType.SERVER_MESSAGE)).data for _ in range(3)]
        self.assertEqual(data, ["to all", "to ada", {"a": [1]}])
        message = await seen(CallbackType.GROUP_MESSAGE)
        self.assertEqual((message.group, message.data), ("lobby", "to the lobby"))
        members = [member.connection_id async for member in self.service.list_connections(group="lobby")]
        self.assertEqual(members, [id])
        self.assertTrue(await self.service.user_exists("ada"))
        self.assertFalse(await self.service.group_exists("empty"))
        with self.assertRaises(ResourceNotFoundError):
            missing = self.settled(self.service.add_connection_to_group, "lobby", "nobody")
            await asyncio.wait_for(missing, 3 * DEADLINE)
        await self.service.close_connection(id, reason="enough")
        self.assertIn("enough", (await seen(CallbackType.DISCONNECTED)).message)

    async def test_clients_send_to_each_other(self):
        (ada, _, _), (_, _, seen) = await self.client("ada"), await self.client("ben")
        await self.service.add_user_to_group("lobby", "ben")
        await ada.send_to_group("lobby", "hello", WebPubSubDataType.TEXT)
        message = await seen(CallbackType.GROUP_MESSAGE)
        self.assertEqual((message.from_user_id, message.data), ("ada", "hello"))

    async def test_what_a_client_may_not_do_is_an_error(self):
        client, _, _ = await self.client("eve", roles=[])
        with self.assertRaises(SendMessageError) as refused:
            await client.join_group("lobby")
        self.assertEqual(refused.exception.error_detail.name, "Forbidden")
