// Pings, and the end of connections from either side.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { DEADLINE, Peer, Server, within } from "./kit.mjs";

const timeout = 4 * DEADLINE;
describe("an open connection", () => {
  let server;
  before(async () => (server = await Server.yardstick()));
  after(() => server?.stop());

  const connect = (target = "/echo") => Peer.open(server.url(target));

  test("a ping is answered with its payload", { timeout }, async () => {
    const peer = await connect();
    for (const payload of ["", "tick", "p".repeat(125)]) {
      const pong = once(peer.socket, "pong");
      peer.socket.ping(payload);
      const [answer] = await within(pong, "the pong");
      assert.equal(answer.toString(), payload);
    }
    await peer.close();
  });

  test("an unsolicited pong is ignored", { timeout }, async () => {
    const peer = await connect();
    peer.socket.pong("heartbeat");
    peer.send("still here");
    assert.equal(await peer.text(), "still here");
    await peer.close();
  });

  for (const [code, reason] of [
    [1000, "done"],
    [1001, "going away"],
    [3001, "a library's code"],
    [4999, "ž".repeat(61)],
  ]) {
    test(`the client's close ${code} is echoed`, { timeout }, async () => {
      const peer = await connect();
      assert.equal((await peer.close(code, reason)).code, code);
    });
  }

  test("a close without a code is answered without one", { timeout }, async () => {
    const peer = await connect();
    peer.socket.close();
    // 1005: the close frame was empty.
    assert.equal((await peer.end()).code, 1005);
  });

  test("messages sent before the close are still echoed", { timeout }, async () => {
    const peer = await connect();
    for (let n = 0; n < 100; n += 1) peer.send(`${n}`);
    peer.socket.close(1000);
    for (let n = 0; n < 100; n += 1) assert.equal(await peer.text(), `${n}`);
    assert.equal((await peer.end()).code, 1000);
  });

  test("the older of two connections with one id ends with 4409", { timeout }, async () => {
    const older = await connect("/ws?id=twice");
    const newer = await connect("/ws?id=twice");
    assert.equal((await older.end()).code, 4409);
    newer.send("E and the newer lives");
    assert.equal(await newer.text(), "E and the newer lives");
    await newer.close();
  });

  test("a lost connection harms no other", { timeout }, async () => {
    const [lost, kept] = [await connect("/ws?id=lost"), await connect("/ws?id=kept")];
    lost.socket.terminate();
    await lost.end();
    kept.send("E on");
    assert.equal(await kept.text(), "E on");
    await kept.close();
  });
});

describe("silence", () => {
  let server;
  before(async () => (server = await Server.yardstick("--ping-interval", "200", "--ping-timeout", "300")));
  after(() => server?.stop());

  test("is broken by the server's pings, and pongs keep the connection", { timeout }, async () => {
    const peer = await Peer.open(server.url("/echo"));
    for (let n = 0; n < 3; n += 1) await within(once(peer.socket, "ping"), "the server's ping");
    peer.send("still here");
    assert.equal(await peer.text(), "still here");
    await peer.close();
  });

  test("after a ping ends the connection", { timeout }, async () => {
    const peer = await Peer.open(server.url("/echo"), { autoPong: false });
    await within(once(peer.socket, "ping"), "the server's ping");
    await peer.end();
  });
});

describe("a drain", () => {
  for (const command of ["serve", "demo"]) {
    test(`${command}: SIGTERM closes with 1012, refuses new connections and exits with 0`, { timeout }, async () => {
      const server = await Server.tieline(command);
      try {
        const peers = [];
        for (const user of ["ada", "ben", "cleo"]) {
          peers.push(await Peer.open(server.url(`/client/hubs/chat?user=${user}`)));
        }
        server.terminate();
        for (const peer of peers) assert.equal((await peer.end()).code, 1012);
        const ended = await within(server.exited, "the exit", 2 * DEADLINE);
        assert.deepEqual(ended, { code: 0, signal: null });
        await assert.rejects(fetch(server.url("/healthz", "http")));
      } finally {
        await server.stop();
      }
    });
  }
});
