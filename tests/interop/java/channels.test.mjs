// Runs Channels.java against two nodes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { APP, Cluster, MASTER_KEY } from "../node/apps.mjs";
import { DEADLINE } from "../node/kit.mjs";
import { run } from "./program.mjs";

test("pusher-java-client on another node than pusher-http-java", { timeout: 8 * DEADLINE }, async () => {
  const cluster = await Cluster.start();
  try {
    const [here, there] = cluster.nodes.map((node) => String(node.port));
    const program = new URL("Channels.java", import.meta.url).pathname;
    const stdout = await run(program, [here, there, APP.id, APP.key, APP.secret, MASTER_KEY]);
    assert.equal(stdout.match(/^ok /gm)?.length, 5, stdout);
  } finally {
    await cluster.stop();
  }
});
