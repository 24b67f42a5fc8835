// Many clients of the package in a process of their own, so that it can trust the
// certificate of the test (NODE_EXTRA_CA_CERTS). It reports how many are connected,
// how often one was disconnected, and how many messages arrived.

import { WebPubSubClient } from "@azure/web-pubsub-client";
import { clientUrl } from "./processes.mjs";

const [endpoint, count] = process.argv.slice(2);
const seen = { connected: 0, disconnected: 0, messages: 0 };

async function start(n) {
  // A new URL for each connection, as applications do, since tokens expire.
  const client = new WebPubSubClient({ getClientAccessUrl: () => clientUrl(endpoint, `user-${n}`) });
  client.on("connected", () => (seen.connected += 1));
  client.on("disconnected", () => ((seen.connected -= 1), (seen.disconnected += 1)));
  client.on("server-message", () => (seen.messages += 1));
  await client.start();
}

process.on("message", () => process.send(seen));
process.on("disconnect", () => process.exit());
await Promise.all(Array.from({ length: Number(count) }, (_, n) => start(n)));
