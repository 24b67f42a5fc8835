// The quick starts of docs/webpubsub.md for JavaScript do what the page says.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { DEADLINE, Server } from "./kit.mjs";
import { run } from "./program.mjs";

const KEY = "an access key of thirty-two bytes";
const page = await readFile(new URL("../../../docs/webpubsub.md", import.meta.url), "utf8");

/** The programs of a section. */
function programs(heading) {
  const [, section] = page.split(`\n${heading}\n`);
  return [...section.split(/\n#+ /)[0].matchAll(/```js\n([^]*?)```/g)].map(([, program]) => program);
}

test("a client subscribes, and a backend publishes", { timeout: 4 * DEADLINE }, async () => {
  const [subscribe, publish] = programs("### JavaScript");
  const server = await Server.serveWith({ TIELINE_KEY: KEY });
  const connection = `Endpoint=${server.url("", "http")};AccessKey=${KEY};Version=1.0;`;
  const env = { WebPubSubConnectionString: connection };
  try {
    await run(subscribe, env, async ({ prints }) => {
      await prints("connected\n");
      await run(publish, env, async ({ exited }) => assert.equal(await exited, 0));
      await prints("from the server: hello, all\n");
      await prints("in the lobby: hello, lobby\n");
    });
  } finally {
    await server.stop();
  }
});

test("a client alone needs neither a key nor a backend", { timeout: 4 * DEADLINE }, async () => {
  const [hello] = programs("## Clients alone");
  const server = await Server.serve();
  try {
    await run(hello.replace("8080", server.port), {}, ({ prints }) => prints("ada says hello from Node\n"));
  } finally {
    await server.stop();
  }
});
