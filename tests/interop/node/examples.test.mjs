// The examples do what their documentation says.

import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { Peer, Server } from "./kit.mjs";

const TIMEOUT = { timeout: 60_000 };

/** An example: its address is its only argument, and Ctrl+C ends it. */
async function run(name, use) {
  const example = await Server.example(path.join("examples", name));
  try {
    await use(example);
  } finally {
    assert.deepEqual(await example.stop("SIGINT"), { code: 0, signal: null });
  }
}

test("clock answers every message with the time", TIMEOUT, () =>
  run("clock", async (clock) => {
    const peer = await Peer.open(clock.url("/"));
    peer.send("what time is it?");
    peer.send("and now?");
    assert.match(await peer.text(), /^\d+ seconds since 1970$/);
    assert.match(await peer.text(), /^\d+ seconds since 1970$/);
    peer.socket.close();
    await peer.closed;
  }));

test("chat reaches everyone in the room, and nobody else", TIMEOUT, () =>
  run("chat", async (chat) => {
    const ada = await Peer.open(chat.url("/blue?name=ada"));
    assert.equal(await ada.text(), "ada: hello");
    const grace = await Peer.open(chat.url("/green?name=grace"));
    assert.equal(await grace.text(), "grace: hello");
    ada.send("anyone here?");
    assert.equal(await ada.text(), "ada: anyone here?");
    const alan = await Peer.open(chat.url("/blue?name=alan"));
    assert.equal(await ada.text(), "alan: hello");
    alan.socket.close(1000);
    assert.equal(await ada.text(), "alan: goodbye");
    grace.send("quiet in green");
    assert.equal(await grace.text(), "grace: quiet in green");
    ada.socket.close();
    grace.socket.close();
    await Promise.all([ada.closed, grace.closed]);
  }));

test("chat asks for a name", TIMEOUT, () =>
  run("chat", async (chat) => {
    await assert.rejects(Peer.open(chat.url("/blue")), /400/);
  }));
