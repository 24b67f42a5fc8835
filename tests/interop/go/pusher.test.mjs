// The server library for Go with one of two nodes; pusher-js on the other. Its program, built by test.sh, is
// the application of the clients.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { APP, Client, Cluster, MASTER_KEY, programs, webhook } from "../node/apps.mjs";
import { DEADLINE, eventually, freePort } from "../node/kit.mjs";

/** The running program. */
class Program {
  static async start(node, port) {
    const program = new Program();
    const env = { ...process.env, APP_ID: APP.id, APP_KEY: APP.key, APP_SECRET: APP.secret, MASTER_KEY };
    const stdio = ["ignore", "pipe", "inherit"];
    program.process = spawn(process.env.TIELINE_GO_PROGRAM, [String(node.port), String(port)], { env, stdio });
    program.output = "";
    program.process.stdout.on("data", (text) => (program.output += text));
    program.url = (target) => `http://127.0.0.1:${port}${target}`;
    await eventually("the program listens", () => fetch(program.url("/")).catch(() => null));
    return program;
  }

  async ask(target) {
    const answer = await fetch(this.url(target), { method: "POST" });
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return JSON.parse(text);
  }

  async stop() {
    const ended = once(this.process, "exit");
    this.process.kill();
    await ended;
  }
}

test("pusher-http-go on another node than pusher-js", { timeout: 4 * DEADLINE }, async () => {
  const port = await freePort();
  const cluster = await Cluster.start({ app: webhook(port) });
  const program = await Program.start(cluster.nodes[0], port);
  const ada = new Client(cluster.nodes[1].port, program, "ada");
  try {
    const channels = {};
    for (const name of ["news", "private-room", "presence-room", "private-encrypted-room"]) {
      channels[name] = await ada.subscribe(name);
    }
    assert.deepEqual(channels["presence-room"].members.me, { id: "ada", info: { name: "Ada" } });
    ada.pusher.signin();
    await eventually("ada can be reached", () => ada.pusher.user.serverToUserChannel?.subscribed);
    await publishes(program, ada);
    await quickStart(cluster.nodes[0]);
    assert.deepEqual(await ada.events("greeting"), [{ text: "hello from Go" }]);
    await asks(program);
    channels["private-room"].trigger("client-typing", { by: "ada" });
    for (const hook of [
      "channel_occupied presence-room   \n",
      "member_added presence-room   ada\n",
      'client_event private-room client-typing {"by":"ada"} \n',
    ]) {
      await eventually(`the webhook ${hook}`, () => program.output.includes(hook));
    }
  } finally {
    ada.close();
    await program.stop();
    await cluster.stop();
  }
});

async function publishes(program, ada) {
  const counted = { subscription_count: 1 };
  assert.deepEqual(await program.ask("/publish"), { batch: [counted, {}], channels: { news: counted } });
  assert.deepEqual(await ada.events("batch-1"), ["text"]);
  assert.deepEqual(await ada.events("batch-2"), [{ n: 2 }]);
  assert.deepEqual(await ada.events("event", 3), Array(3).fill({ text: "<ž>" }));
  assert.deepEqual(await ada.events("letter"), ["to ada"]);
  assert.deepEqual(await ada.events("end"), [[1]]);
}

async function asks(program) {
  const { channels, channel, users, refused } = await program.ask("/questions");
  assert.deepEqual(channels, { "presence-room": { user_count: 1 } });
  assert.deepEqual([channel.occupied, channel.user_count, channel.subscription_count], [true, 1, 1]);
  assert.deepEqual(users, [{ id: "ada" }]);
  assert.match(refused, /401/);
}

/** Runs the program of docs/pusher.md, in this module. */
async function quickStart(node) {
  const [text] = await programs("### Go", "go", node);
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  const folder = await mkdtemp(path.join(cwd, "quickstart-"));
  try {
    await writeFile(path.join(folder, "main.go"), text);
    const env = { ...process.env, APP_SECRET: APP.secret };
    await promisify(execFile)("go", ["run", `./${path.basename(folder)}`], { cwd, env });
  } finally {
    await rm(folder, { recursive: true });
  }
}
