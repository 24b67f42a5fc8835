// Runs Service.java against two nodes.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { DEADLINE, Registry, Server } from "../node/kit.mjs";
import { run } from "./program.mjs";

const KEY = "an access key of thirty-two bytes";

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
  const stdout = await run(new URL("Service.java", import.meta.url).pathname, [...urls, KEY]);
  assert.equal(stdout.match(/^ok /gm)?.length, 6, stdout);
});

test("the quick start of docs/webpubsub.md", { timeout: 8 * DEADLINE }, async () => {
  const page = await readFile(new URL("../../../docs/webpubsub.md", import.meta.url), "utf8");
  const [, program] = page.match(/```java\n([^]*?)```/);
  const folder = await mkdtemp(path.join(tmpdir(), "tieline-"));
  try {
    const file = path.join(folder, "Hello.java");
    await writeFile(file, program);
    const connection = `Endpoint=${nodes[0].url("", "http")};AccessKey=${KEY};Version=1.0;`;
    assert.equal(await run(file, [], { WebPubSubConnectionString: connection }), "received: hello, ada\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});
