"""A WebSocket client, an HTTP client and tokens, on the standard library.

Owns the protocols as far as the soak needs them. Must not know what is sent, nor who runs.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import socket
import time

JSON = "json.webpubsub.azure.v1"
TIMEOUT = 15.0
"""The maximum time of a handshake and of an HTTP request, in seconds."""

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Refused(Exception):
    """An upgrade that was answered with another status than 101."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


class Socket:
    """A connection of a client. `closed` is the close code, or None if the TCP connection broke."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.closed = reader, writer, None

    @classmethod
    async def connect(cls, port, path, subprotocol=None, receive_buffer=None):
        """The kernel takes as much as it likes for a client that does not read, unless a size is given."""
        tcp = socket.socket()
        tcp.setblocking(False)
        if receive_buffer:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(tcp, ("127.0.0.1", port)), TIMEOUT)
            reader, writer = await asyncio.open_connection(sock=tcp)
        except BaseException:
            tcp.close()
            raise
        offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        key = base64.b64encode(os.urandom(16)).decode()
        try:
            writer.write((
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n"
            ).encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT)
            status = int(head.split()[1])
            if status != 101:
                raise Refused(status)
        except BaseException:
            writer.transport.abort()
            raise
        return cls(reader, writer)

    def send(self, payload, opcode=TEXT):
        """Masked with zeros, which is allowed and cheap. What the kernel does not take waits in this process."""
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else bytes([0xFE]) + length.to_bytes(2, "big")
        if not self.writer.is_closing():
            self.writer.write(bytes([0x80 | opcode]) + size + bytes(4) + payload)

    def send_json(self, message):
        self.send(json.dumps(message).encode())

    async def messages(self):
        """The payloads of messages, until the connection ends."""
        try:
            while True:
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self.reader.readexactly(2), "big")
                elif size == 127:
                    size = int.from_bytes(await self.reader.readexactly(8), "big")
                payload = await self.reader.readexactly(size)
                opcode = first & 15
                if opcode == PING:
                    self.send(payload, PONG)
                elif opcode == CLOSE:
                    self.closed = int.from_bytes(payload[:2], "big")
                    self.send(payload[:2], CLOSE)
                    return
                elif opcode != PONG:
                    yield payload
        except (OSError, asyncio.IncompleteReadError):
            return

    def close(self):
        """Asks the node to close; `messages` ends when it has."""
        self.send((1000).to_bytes(2, "big"), CLOSE)

    def abort(self):
        """Ends the TCP connection without a word."""
        self.writer.transport.abort()


async def request(port, method, path, headers=(), body=b""):
    """The status, the headers in lower case, and the body."""
    async def exchange():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", f"Content-Length: {len(body)}", *headers]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            answer = await reader.read()
        finally:
            writer.transport.abort()
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        if not fields:
            raise ConnectionError("no answer")
        pairs = (field.split(": ", 1) for field in fields)
        return int(status.split()[1]), {name.lower(): value for name, value in pairs}, rest

    return await asyncio.wait_for(exchange(), TIMEOUT)


def token(key, audience):
    """What a backend shows for a request to the URL."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"aud": audience, "exp": int(time.time()) + 300}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.digest(key.encode(), signed, hashlib.sha256))).decode()
