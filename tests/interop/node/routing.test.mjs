// Messages from one client to another: by id, by group, to all.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DEADLINE, Peer, Server } from "./kit.mjs";

const timeout = 3 * DEADLINE;

describe("one node", () => {
  let server;
  before(async () => (server = await Server.yardstick()));
  after(() => server?.stop());

  const connect = (id) => Peer.open(server.url(`/ws?id=${id}`));

  // Messages of one connection are handled in order, so its echo shows that the
  // earlier ones have been handled.
  const settled = async (peer) => {
    peer.send("E settled");
    assert.equal(await peer.text(), "E settled");
  };

  test("an echo is verbatim, line feeds and white space included", { timeout }, async () => {
    const peer = await connect("echo");
    for (const text of ["E", "E \n two lines \r\n", `E${"x".repeat(100_000)}`]) {
      peer.send(text);
      assert.equal(await peer.text(), text);
    }
    await peer.close();
  });

  test("to one client by its id; a missing receiver is reported to the sender", { timeout }, async () => {
    const [ada, ben] = [await connect("ada"), await connect("ben")];
    ada.send("T:ben:  hello: ben\n");
    assert.equal(await ben.text(), "  hello: ben\n");
    ada.send("T:nobody:hello?");
    assert.match(await ada.text(), /^!offline/i);
    await Promise.all([ada.close(), ben.close()]);
  });

  test("to all, sender included, each message in its own frame", { timeout }, async () => {
    const all = [await connect("b1"), await connect("b2"), await connect("b3")];
    const sent = ["B one\n", "B two", "B   three   "];
    for (const text of sent) all[0].send(text);
    for (const peer of all) {
      for (const text of sent) assert.equal(await peer.text(), text);
    }
    await Promise.all(all.map((peer) => peer.close()));
  });

  test("to a group: members only, until they leave", { timeout }, async () => {
    const [member, leaver, stranger] = [await connect("g1"), await connect("g2"), await connect("g3")];
    member.send("J:room");
    leaver.send("J:room");
    await Promise.all([settled(member), settled(leaver)]);
    stranger.send("G:room:first");
    assert.equal(await member.text(), "first");
    assert.equal(await leaver.text(), "first");

    leaver.send("L:room");
    await settled(leaver);
    stranger.send("G:room:second: with colon");
    assert.equal(await member.text(), "second: with colon");
    for (const peer of [leaver, stranger]) await settled(peer);
    await Promise.all([member, leaver, stranger].map((peer) => peer.close()));
  });

  test("messages from one client to another keep their order", { timeout }, async () => {
    const [from, to] = [await connect("from"), await connect("to")];
    for (let n = 0; n < 1_000; n += 1) from.send(`T:to:${n}`);
    for (let n = 0; n < 1_000; n += 1) assert.equal(await to.text(), `${n}`);
    await Promise.all([from.close(), to.close()]);
  });
});
