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

  test("valid JSON that cannot be passed on fails, and the connection stays", { timeout }, async () => {
    const [peer] = await connect();
    const half = String.raw`"\ud83d"`;
    const deep = "[".repeat(5000) + "]".repeat(5000);
    let ackId = 0;
    for (const frame of [
      `"type":"joinGroup","group":${half}`,
      `"type":"sendToGroup","group":"g","dataType":"text","data":${half}`,
      `"type":"sendToGroup","group":"g","data":{"a":[${half}]}`,
      `"type":"sendToGroup","group":"g","data":${deep}`,
    ]) {
      // Silence without an ackId.
      peer.send(`{${frame}}`);
      peer.send(`{${frame},"ackId":${++ackId}.0}`);
      const ack = await peer.json();
      assert.deepEqual([ack.type, ack.ackId, ack.success, ack.error.name], ["ack", ackId, false, "BadRequest"]);
      assert.match(ack.error.message, /surrogate|nested/);
    }
    await peer.close();
  });

  test("the last of duplicate properties counts", { timeout }, async () => {
    const [peer] = await connect();
    peer.send('{"type":"nope","group":1,"group":"d","ackId":"x","ackId":5,"type":"joinGroup"}');
    assert.deepEqual(await peer.json(), { type: "ack", ackId: 5, success: true });
    await peer.close();
  });

  test("the subprotocol in any case, and a trailing slash", { timeout }, async () => {
    for (const protocols of ["json.webpubsub.azure.v1", "JSON.WebPubSub.azure.v1"]) {
      const peer = await Peer.open(server.url("/client/hubs/chat/?user=ada"), { protocols });
      assert.equal((await peer.json()).event, "connected");
      await peer.close();
    }
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
