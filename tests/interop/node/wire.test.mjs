// The JSON subprotocol, frame by frame: details that the official clients rely on but
// do not expose.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DEADLINE, Peer, Server } from "./kit.mjs";

const timeout = 3 * DEADLINE;

describe("json.webpubsub.azure.v1", () => {
  let server;
  before(async () => (server = await Server.tieline("serve")));
  after(() => server?.stop());

  const connect = async (query = "?user=ada") => {
    const peer = await Peer.open(server.url(`/client/hubs/chat${query}`), { protocols: "json.webpubsub.azure.v1" });
    return [peer, await peer.json()];
  };

  test("absent values are omitted, never null", { timeout }, async () => {
    const [peer, connected] = await connect("");
    const { connectionId, ...rest } = connected;
    assert.equal(typeof connectionId, "string");
    assert.deepEqual(rest, { type: "system", event: "connected" });
    peer.send('{"type":"joinGroup","group":"g"}');
    peer.send('{"type":"sendToGroup","group":"g","data":7}');
    const { sequenceId, ...message } = await peer.json();
    assert.equal(sequenceId, undefined);
    assert.deepEqual(message, { type: "message", from: "group", group: "g", dataType: "json", data: 7 });
    await peer.close();
  });

  test("type names are case-insensitive", { timeout }, async () => {
    const [peer] = await connect();
    peer.send('{"type":"JoinGroup","group":"h","ackId":1}');
    assert.deepEqual(await peer.json(), { type: "ack", ackId: 1, success: true });
    peer.send('{"type":"sendToGroup","group":"h","dataType":"Text","data":"x"}');
    assert.equal((await peer.json()).dataType, "text");
    await peer.close();
  });

  test("an invalid message closes the connection with 1007, a binary one with 1003", { timeout }, async () => {
    for (const bad of ["", "not json", "[]", '{"no":"type"}', '{"type":"unheard-of"}', '{"type":"joinGroup"}']) {
      const [peer] = await connect();
      peer.send(bad);
      assert.equal((await peer.end()).code, 1007, bad);
    }
    const [peer] = await connect();
    peer.send(Buffer.from("{}"));
    assert.equal((await peer.end()).code, 1003);
  });
});
