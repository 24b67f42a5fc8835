// Runs Channels.java and the quick start of docs/pusher.md for Java against two nodes.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { APP, Application, Client, Cluster, MASTER_KEY, programs } from "../node/apps.mjs";
import { DEADLINE } from "../node/kit.mjs";
import { run } from "./program.mjs";

let cluster;
before(async () => (cluster = await Cluster.start()));
after(() => cluster?.stop());

test("pusher-java-client on another node than pusher-http-java", { timeout: 8 * DEADLINE }, async () => {
  const [here, there] = cluster.nodes.map((node) => String(node.port));
  const program = new URL("Channels.java", import.meta.url).pathname;
  const stdout = await run(program, [here, there, APP.id, APP.key, APP.secret, MASTER_KEY]);
  assert.equal(stdout.match(/^ok /gm)?.length, 5, stdout);
});

test("the quick start of docs/pusher.md", { timeout: 8 * DEADLINE }, async () => {
  const [here, there] = cluster.nodes;
  const [program] = await programs("### Java", "java", here);
  const folder = await mkdtemp(path.join(tmpdir(), "tieline-"));
  const application = await Application.start(here);
  const client = new Client(there.port, application, "ada");
  try {
    await client.subscribe("news");
    const file = path.join(folder, "Publish.java");
    await writeFile(file, program);
    await run(file, [], { APP_SECRET: APP.secret });
    assert.deepEqual(await client.events("greeting"), [{ text: "hello from Java" }]);
  } finally {
    client.close();
    await application.stop();
    await rm(folder, { recursive: true });
  }
});
