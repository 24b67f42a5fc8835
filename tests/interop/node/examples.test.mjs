// The examples do what their first lines say, and explain the mistakes of newcomers.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Peer, Registry, Server, eventually, refusal } from "./kit.mjs";

const TIMEOUT = { timeout: 60_000 };

/** Runs an example until `use` ends; its address is its only argument, and Ctrl+C ends it. */
async function run(name, use) {
  const example = await Server.example(path.join("examples", name));
  try {
    await use(example);
  } finally {
    assert.deepEqual(await example.stop("SIGINT"), { code: 0, signal: null });
  }
}

/** An address with a free port. */
const ANY = "127.0.0.1:0";

/** Starts an example that takes more arguments; yields it, and the URL of each `ANY` among them. */
async function start(name, ...args) {
  const urls = ({ output }) => [...output.matchAll(/listening on (ws:\/\/[\d.:]+)/g)].map((line) => line[1]);
  const count = args.filter((arg) => arg === ANY).length;
  const example = new Server(path.join("examples", name), [], 0, (server) => urls(server).length === count);
  example.args = args;
  await example.start();
  return [example, ...urls(example)];
}

/** Runs an example to its end. */
function complete(name, ...args) {
  const { program } = new Server(path.join("examples", name), [], 0);
  const options = { timeout: 30_000, env: { ...process.env, RUST_BACKTRACE: "0" } };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, stdout, stderr });
    });
  });
}

async function close(...peers) {
  await Promise.all(peers.map((peer) => peer.close()));
}

/** Opens a client and reads its welcome. */
async function enter(url, welcome, options) {
  const peer = await Peer.open(url, options);
  assert.match(await peer.text(), welcome);
  return peer;
}

test("echo sends every message back", TIMEOUT, () =>
  run("echo", async (echo) => {
    const peer = await Peer.open(echo.url("/"));
    peer.send("hello");
    assert.equal(await peer.text(), "hello");
    peer.send(Buffer.from([0, 255]));
    assert.deepEqual(await peer.message(), { data: Buffer.from([0, 255]), binary: true });
    await close(peer);
  }));

test("clock answers every message with the time", TIMEOUT, () =>
  run("clock", async (clock) => {
    const peer = await Peer.open(clock.url("/"));
    peer.send("what time is it?");
    peer.send("and now?");
    assert.match(await peer.text(), /^\d+ seconds since 1970$/);
    assert.match(await peer.text(), /^\d+ seconds since 1970$/);
    await close(peer);
  }));

test("rooms sends to everyone else in a room", TIMEOUT, () =>
  run("rooms", async (rooms) => {
    const ada = await enter(rooms.url("/?name=ada"), /^welcome, ada; commands: /);
    const grace = await enter(rooms.url("/?name=grace"), /^welcome, grace; /);
    for (const peer of [ada, grace]) {
      peer.send("join lobby");
      assert.equal(await peer.text(), "you joined lobby");
    }
    assert.equal(await ada.text(), "grace joined lobby");
    ada.send("say lobby hello, all");
    assert.equal(await grace.text(), "[lobby] ada: hello, all");
    ada.send("leave lobby");
    // Her own message did not come back before this.
    assert.equal(await ada.text(), "you left lobby");
    assert.equal(await grace.text(), "ada left lobby");
    grace.send("say lobby alone");
    ada.send("join lobby");
    assert.equal(await ada.text(), "you joined lobby");
    assert.equal(await grace.text(), "ada joined lobby");
    await close(grace);
    assert.equal(await ada.text(), "grace left lobby");
    await close(ada);
  }));

test("rooms explains what it does not understand", TIMEOUT, () =>
  run("rooms", async (rooms) => {
    assert.equal((await refusal(rooms.url("/"))).status, 400);
    const ada = await enter(rooms.url("/?name=ada"), /^welcome/);
    for (const [line, answer] of [
      ["hello", /^commands: join ROOM, leave ROOM, say ROOM TEXT$/],
      ["say lobby hello", /^you are not in lobby; join it first$/],
      ["leave lobby", /^you are not in lobby$/],
      ["join", /^cannot join: /],
    ]) {
      ada.send(line);
      assert.match(await ada.text(), answer);
    }
    await close(ada);
  }));

const ADA = "8f3b5a0e6c1d47f29ab0c5de71428396";
const GRACE = "c24e9d7703ab4f6d8e15b06f92a7d3c8";

test("auth takes the user from a token", TIMEOUT, () =>
  run("auth", async (auth) => {
    const headers = { Authorization: `Bearer ${ADA}` };
    const phone = await enter(auth.url("/"), /^you are ada$/, { headers });
    const laptop = await enter(auth.url(`/?token=${ADA}`), /^you are ada$/);
    const grace = await enter(auth.url(`/?token=${GRACE}`), /^you are grace$/);
    phone.send("to my devices");
    assert.equal(await laptop.text(), "to my devices");
    assert.equal(await phone.text(), "to my devices");
    grace.send("only mine");
    assert.equal(await grace.text(), "only mine");
    await close(phone, laptop, grace);
  }));

test("auth refuses a missing or wrong token with 401", TIMEOUT, () =>
  run("auth", async (auth) => {
    const wrong = [
      ["/", {}],
      ["/?token=", {}],
      [`/?token=${ADA.slice(1)}`, {}],
      ["/", { Authorization: `Basic ${ADA}` }],
      // The header counts, even if the query has a valid token.
      [`/?token=${ADA}`, { Authorization: "Bearer wrong" }],
    ];
    for (const [target, headers] of wrong) {
      const { status, headers: answer } = await refusal(auth.url(target), { headers });
      assert.equal(status, 401, target);
      assert.equal(answer["www-authenticate"], "Bearer");
    }
  }));

test("axum serves a page, a board over HTTP, and the same board over WebSockets", TIMEOUT, () =>
  run("axum", async (axum) => {
    const post = async (note) => (await fetch(axum.url("/notes", "http"), { method: "POST", body: note })).text();
    assert.equal(await post("first"), "delivered to 0 clients\n");
    const page = await (await fetch(axum.url("/", "http"))).text();
    assert.match(page, /new WebSocket/);

    const ada = await enter(axum.url("/ws"), /^first$/);
    ada.send("second");
    assert.equal(await ada.text(), "second");
    const grace = await enter(axum.url("/ws"), /^first$/);
    assert.equal(await grace.text(), "second");
    assert.equal(await post("third"), "delivered to 2 clients\n");
    assert.equal(await ada.text(), "third");
    assert.equal(await grace.text(), "third");
    assert.deepEqual(await (await fetch(axum.url("/notes", "http"))).json(), ["third", "second", "first"]);
    assert.equal((await fetch(axum.url("/ws", "http"))).status, 426);
    await close(ada, grace);
  }));

test("chat sends to everyone in the room, and to nobody else", TIMEOUT, () =>
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
    await close(ada, grace);
  }));

test("chat asks for a name", TIMEOUT, () =>
  run("chat", async (chat) => {
    await assert.rejects(Peer.open(chat.url("/blue")), /400/);
  }));

/** Sends to a client that is not there until the answer is certain: in the first lease of a new registry, a missing entry proves nothing. */
async function findOffline(peer) {
  await eventually("alan is offline", async () => {
    peer.send("alan: are you there?");
    return (await peer.text()) === "alan: offline";
  });
}

/** Two clients on two nodes reach each other by name and by broadcast. */
async function reachEachOther(first, second) {
  const ada = await enter(`${first}/?name=ada`, /^welcome, ada$/);
  const grace = await enter(`${second}/?name=grace`, /^welcome, grace$/);
  ada.send("grace: hello");
  assert.equal(await grace.text(), "ada to you: hello");
  assert.equal(await ada.text(), "grace: delivered");
  grace.send("good morning");
  assert.equal(await ada.text(), "grace to all: good morning");
  assert.equal(await grace.text(), "delivered to 1");
  await findOffline(ada);
  return [ada, grace];
}

test("cluster connects two nodes in one process", TIMEOUT, async () => {
  const [cluster, first, second] = await start("cluster", ANY, ANY);
  try {
    await close(...(await reachEachOther(first, second)));
    assert.equal((await refusal(`${first}/`)).status, 400);
  } finally {
    assert.deepEqual(await cluster.stop("SIGINT"), { code: 0, signal: null });
  }
});

test("backend reaches the clients of a cluster of processes, and names the nodes that are gone", TIMEOUT, async () => {
  const redis = await Registry.redis();
  const registry = ["--registry", redis.url];
  const nodes = [];
  try {
    for (let i = 0; i < 2; i++) nodes.push(await start("cluster", ...registry, ANY));
    const [[one, first], [two, second]] = nodes;
    const [ada, grace] = await reachEachOther(first, second);

    const send = (...args) => complete("backend", ...registry, ...args);
    const sent = (count, on) => ({ code: 0, stdout: `delivered to ${count} connection(s) on ${on} node(s)\n`, stderr: "" });
    assert.deepEqual(await send("user", "ada", "only for ada"), sent(1, 1));
    assert.equal(await ada.text(), "only for ada");
    assert.deepEqual(await send("group", "lobby", "to the lobby"), sent(2, 2));
    assert.deepEqual(await send("all", "to everyone"), sent(2, 2));
    for (const peer of [ada, grace]) {
      assert.equal(await peer.text(), "to the lobby");
      assert.equal(await peer.text(), "to everyone");
    }
    assert.deepEqual(await send("user", "alan", "hello"), sent(0, 0));

    two.terminate("SIGKILL");
    await grace.end();
    const { code, stdout, stderr } = await send("all", "who is left?");
    assert.equal(code, 1);
    assert.match(stdout, /^delivered to 1 connection\(s\) on 1 node\(s\)\nnode 127\.0\.0\.1:\d+: unreachable\n$/);
    assert.match(stderr, /^Error: some nodes did not answer; /);
    assert.equal(await ada.text(), "who is left?");
    await close(ada);
    assert.deepEqual(await one.stop("SIGINT"), { code: 0, signal: null });
  } finally {
    for (const [node] of nodes) node.terminate("SIGKILL");
    await redis.stop();
  }
});

test("custom_registry connects two processes through a file", TIMEOUT, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "tieline-"));
  const file = path.join(folder, "registry.json");
  const nodes = [];
  try {
    for (let i = 0; i < 2; i++) nodes.push(await start("custom_registry", ANY, file));
    const [[, first], [, second]] = nodes;
    const ada = await Peer.open(`${first}/?name=ada`);
    const grace = await Peer.open(`${second}/?name=grace`);
    ada.send("grace: hello");
    assert.equal(await grace.text(), "ada: hello");
    assert.equal(await ada.text(), "grace: delivered");
    await findOffline(grace);
    await close(ada, grace);
    for (const [node] of nodes) assert.deepEqual(await node.stop("SIGINT"), { code: 0, signal: null });
    const { nodes: left, ids } = JSON.parse(await readFile(file, "utf8"));
    assert.deepEqual({ left, ids }, { left: {}, ids: {} });
  } finally {
    for (const [node] of nodes) node.terminate("SIGKILL");
    await rm(folder, { recursive: true });
  }
});

test("an example whose port is in use says what to do", TIMEOUT, () =>
  run("echo", async ({ port }) => {
    for (const name of ["echo", "rooms", "auth", "axum", "chat", "cluster", "custom_registry"]) {
      const { code, stderr } = await complete(name, `127.0.0.1:${port}`);
      assert.equal(code, 1, name);
      assert.match(stderr, new RegExp(`^Error: cannot listen on 127\\.0\\.0\\.1:${port}; pass (another|other) address`), name);
      assert.match(stderr, /Address already in use/, name);
    }
  }));

test("an example without its registry says what to do", TIMEOUT, async () => {
  for (const [name, ...args] of [["backend", "all", "hello"], ["cluster"]]) {
    const { code, stderr } = await complete(name, "--registry", "redis://user:secret@127.0.0.1:1", ...args);
    assert.equal(code, 1, name);
    assert.match(stderr, /^Error: cannot use the registry; .*--registry/, name);
    assert.match(stderr, /Connection refused/, name);
    assert.doesNotMatch(stderr, /secret/, name);
  }
  const file = "/dev/null/registry.json";
  const { code, stderr } = await complete("custom_registry", ANY, file);
  assert.equal(code, 1);
  assert.match(stderr, /^Error: cannot use the registry; /);
  assert.ok(stderr.includes(file), stderr);
});
