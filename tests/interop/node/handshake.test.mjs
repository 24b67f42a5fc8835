// Refused upgrades, and plain HTTP requests.

import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { DEADLINE, Peer, Server, refusal, within } from "./kit.mjs";

const timeout = 3 * DEADLINE;
const PROTOCOL = "json.webpubsub.azure.v1";

/** Sends a request with exactly these headers; yields the status and headers of the response. */
async function ask(url, headers, method = "GET") {
  const request = http.request(url, { method, headers, agent: false });
  request.end();
  const upgraded = once(request, "upgrade").then(([response, socket]) => (socket.destroy(), response));
  const answered = once(request, "response").then(([response]) => (response.resume(), response));
  const { statusCode: status, headers: received } = await within(Promise.race([upgraded, answered]), "an answer");
  return { status, headers: received };
}

const UPGRADE = {
  Connection: "keep-alive, Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

const without = (name) => Object.fromEntries(Object.entries(UPGRADE).filter(([key]) => key !== name));

describe("the upgrade", () => {
  let server;
  before(async () => (server = await Server.tieline("serve")));
  after(() => server?.stop());

  const client = (query = "?user=ada") => server.url(`/client/hubs/chat${query}`);
  const target = () => server.url("/client/hubs/chat?user=ada", "http");

  test("is granted with the key of RFC 6455, section 1.3", { timeout }, async () => {
    const { status, headers } = await ask(target(), UPGRADE);
    assert.equal(status, 101);
    assert.equal(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(headers["sec-websocket-protocol"], undefined, "none was offered");
  });

  test("is refused with 426 for a missing upgrade or another version", { timeout }, async () => {
    assert.equal((await ask(target(), {})).status, 426);
    const { status, headers } = await ask(target(), { ...UPGRADE, "Sec-WebSocket-Version": "8" });
    assert.equal(status, 426);
    assert.equal(headers["sec-websocket-version"], "13");
  });

  test("is refused with 400 for a key that is missing or not 16 bytes", { timeout }, async () => {
    assert.equal((await ask(target(), without("Sec-WebSocket-Key"))).status, 400);
    assert.equal((await ask(target(), { ...UPGRADE, "Sec-WebSocket-Key": "c2hvcnQ=" })).status, 400);
  });

  test("is refused with 403 to a page of another origin", { timeout }, async () => {
    assert.equal((await refusal(client(), { origin: "http://elsewhere.example" })).status, 403);
    assert.equal((await refusal(client(), { origin: "null" })).status, 403);
    const peer = await Peer.open(client(), { origin: server.url("", "http") });
    await peer.close();
  });

  test("is refused with 404 on an unknown path", { timeout }, async () => {
    for (const path of ["/", "/client/hubs/", "/echo"]) {
      assert.equal((await refusal(server.url(path))).status, 404, path);
    }
  });

  test("chooses the supported subprotocol among several", { timeout }, async () => {
    const peer = await Peer.open(client(), { protocols: ["mqtt", PROTOCOL, "json"] });
    assert.equal(peer.socket.protocol, PROTOCOL);
    assert.equal((await peer.json()).event, "connected");
    await peer.close();
  });

  test("a refusal does not change the server", { timeout }, async () => {
    await refusal(client(), { origin: "http://elsewhere.example" });
    for (const path of ["/healthz", "/readyz"]) {
      assert.equal((await fetch(server.url(path, "http"))).status, 200, path);
    }
  });
});
