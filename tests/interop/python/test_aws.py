"""boto3, unmodified, as the backend on one node, with its clients on the other."""

import asyncio
import base64
import json
import tempfile
import unittest
from email.utils import parsedate_to_datetime
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kit import AWS_KEY_ID, AWS_SECRET, DEADLINE, ROOT, eventually, two_nodes

PROTOCOL = "json.webpubsub.azure.v1"


class Connections(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.here, cls.there = two_nodes()

    def api(self, stage="chat", secret=AWS_SECRET, **options):
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=self.here.url(f"/{stage}", "http"),
            region_name="eu-west-1",
            aws_access_key_id=AWS_KEY_ID,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, proxies={}),
            **options,
        )

    async def client(self):
        """A client of the other node, and its connection id."""
        url = self.there.url("/client/hubs/chat?user=ada")
        client = await connect(url, subprotocols=[PROTOCOL], proxy=None, open_timeout=DEADLINE)
        self.addAsyncCleanup(client.close)
        return client, json.loads(await client.recv())["connectionId"]

    async def message(self, client):
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE))
        self.assertEqual((frame["type"], frame["from"]), ("message", "server"))
        return frame["dataType"], frame["data"]

    async def test_posts_text_and_bytes(self):
        client, id = await self.client()
        api = self.api()
        for data in [" zwei\n\"Zeilen\" ž", "", "x" * 128 * 1024]:
            api.post_to_connection(ConnectionId=id, Data=data.encode())
            self.assertEqual(await self.message(client), ("text", data))
        data = bytes(range(256))
        api.post_to_connection(ConnectionId=id, Data=data)
        self.assertEqual(await self.message(client), ("binary", base64.b64encode(data).decode()))

    async def test_the_example_of_the_documentation_works(self):
        page = (ROOT / "docs/aws.md").read_text()
        example = page.split("```python\n")[1].split("```")[0]
        with tempfile.TemporaryDirectory() as folder:
            secret = Path(folder) / "secret"
            secret.write_text(f"{AWS_SECRET}\n")
            for written, here in [
                ("http://127.0.0.1:8080", self.here.url("", "http")),
                ('"AKIDEXAMPLE"', f'"{AWS_KEY_ID}"'),
                ('open("secret")', f'open("{secret}")'),
            ]:
                self.assertIn(written, example)
                example = example.replace(written, here)
            names = {}
            exec(example, names)
        client, id = await self.client()
        self.assertTrue(names["send"](id, "hello"))
        self.assertEqual(await self.message(client), ("text", "hello"))

        def is_gone():
            return names["send"]("another", "hello") is False

        await asyncio.to_thread(eventually, "another is gone", lambda: _settled(is_gone))

    async def test_describes_a_client(self):
        _, id = await self.client()
        found = self.api().get_connection(ConnectionId=id)
        self.assertEqual(found["Identity"]["SourceIp"], "127.0.0.1")
        self.assertLess(abs((found["ConnectedAt"] - _now(found)).total_seconds()), DEADLINE)

    async def test_disconnects_a_client_which_is_then_gone(self):
        client, id = await self.client()
        _, elsewhere = await self.client()
        api = self.api()
        api.delete_connection(ConnectionId=id)
        with self.assertRaises(ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(client.recv(), DEADLINE)
        self.assertEqual(closed.exception.rcvd.code, 1000)

        def is_gone():
            try:
                api.get_connection(ConnectionId=id)
            except api.exceptions.GoneException:
                return True
            return False

        await asyncio.to_thread(eventually, "the client is gone", lambda: _settled(is_gone))
        for name, arguments in [
            ("post_to_connection", {"Data": b"x"}),
            ("get_connection", {}),
            ("delete_connection", {}),
        ]:
            with self.assertRaises(api.exceptions.GoneException):
                getattr(self.api(stage="another"), name)(ConnectionId=elsewhere, **arguments)
            for gone in [id, "L0SM9cOFvHcCIhw=", "a/b +ž"]:
                with self.assertRaises(api.exceptions.GoneException):
                    getattr(api, name)(ConnectionId=gone, **arguments)

    async def test_errors_are_the_exceptions_of_the_sdk(self):
        client, id = await self.client()
        api = self.api()
        for length in [128 * 1024 + 1, 4 * 1024 * 1024]:
            with self.assertRaises(api.exceptions.PayloadTooLargeException):
                api.post_to_connection(ConnectionId=id, Data=b"x" * length)
        for other in [self.api(secret=AWS_SECRET[::-1]), self.api(stage="1prod"), self.api(aws_session_token="t")]:
            with self.assertRaises(other.exceptions.ForbiddenException):
                other.post_to_connection(ConnectionId=id, Data=b"x")
        with self.assertRaises(ClientError) as invalid:
            api.get_connection(ConnectionId="\0")
        self.assertEqual(invalid.exception.response["Error"]["Code"], "BadRequestException")
        api.post_to_connection(ConnectionId=id, Data=b"the only one")
        self.assertEqual(await self.message(client), ("text", "the only one"))


def _settled(ask):
    """What a question about a missing client yields, once the registry is known to have no such client: in the
    first lease of a new one, a missing entry proves nothing."""
    try:
        return ask()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise


def _now(response):
    """When the response was made."""
    return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])


if __name__ == "__main__":
    unittest.main()
