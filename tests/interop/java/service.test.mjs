// Runs Service.java against two nodes.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { DEADLINE, Registry, Server } from "../node/kit.mjs";

const KEY = "an access key of thirty-two bytes";
const LIBRARY = process.env.TIELINE_JAVA_LIBRARY;

let registry, nodes;
before(async () => {
  registry = await Registry.redis();
  const node = () => Server.node(registry.url, { env: { TIELINE_KEY: KEY } });
  nodes = [await node(), await node()];
});
after(async () => {
  for (const running of [...(nodes ?? []), registry]) await running?.stop();
});

test("azure-messaging-webpubsub on another node than its clients", { timeout: 8 * DEADLINE }, async () => {
  const urls = nodes.map((node) => node.url("", "http"));
  const program = new URL("Service.java", import.meta.url).pathname;
  const { error, stdout, stderr } = await new Promise((resolve) => {
    const args = ["-cp", `${LIBRARY}/*`, program, ...urls, KEY];
    const options = { timeout: 6 * DEADLINE };
    execFile("java", args, options, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
  });
  assert.ok(!error, `${stdout}\n${stderr}`);
  assert.equal(stdout.match(/^ok /gm)?.length, 6, stdout);
});
