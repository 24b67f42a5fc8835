// The quick starts of docs/pusher.md for JavaScript do what the page says.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { APP, Cluster, programs } from "./apps.mjs";
import { DEADLINE } from "./kit.mjs";
import { run } from "./program.mjs";

let cluster, node;
before(async () => {
  cluster = await Cluster.start({ size: 1 });
  [node] = cluster.nodes;
});
after(() => cluster?.stop());

/** Runs a client until it has what a backend publishes. */
async function receives(subscribe, env) {
  const [publish] = await programs("### Node", "js", node);
  await run(subscribe, env, async ({ prints }) => {
    await prints("subscribed\n");
    await run(publish, { APP_SECRET: APP.secret }, async ({ exited }) => assert.equal(await exited, 0));
    await prints("hello from Node\n");
  });
}

test("pusher-js", { timeout: 4 * DEADLINE }, async () => {
  const [subscribe] = await programs("## Quick start", "js", node);
  await receives(subscribe, {});
});

test("Laravel Echo, with the lines of .env", { timeout: 4 * DEADLINE }, async () => {
  const [lines] = await programs("## Laravel Echo", "sh", node);
  const [subscribe] = await programs("## Laravel Echo", "js", node);
  const env = {};
  for (const line of lines.split("\n")) {
    const [, name, value] = line.match(/^(\w+)="?(.*?)"?$/);
    env[name] = value.replace(/\$\{(\w+)\}/, (_, other) => env[other]);
  }
  // What Vite does.
  await receives(subscribe.replaceAll("import.meta.env", "process.env"), env);
});
