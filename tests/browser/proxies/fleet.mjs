// Many clients of the package in a process of their own, so that it can trust the
// certificate of the test (NODE_EXTRA_CA_CERTS). It reports how many are connected,
// how often one was disconnected, how many messages arrived, how often the client that
// connected most often did, and the most attempts that failed one after the other.

import { WebPubSubClient } from "@azure/web-pubsub-client";
import { clientUrl } from "./processes.mjs";

const [endpoint, count] = process.argv.slice(2);
const seen = { connected: 0, disconnected: 0, messages: 0, mostConnections: 0, mostFailures: 0 };
const AT_ONCE = 50;

async function start(n) {
  let attempts = 0;
  let connections = 0;
  // A new URL for each attempt, as applications do, since tokens expire.
  const getClientAccessUrl = () => {
    seen.mostFailures = Math.max(seen.mostFailures, attempts++);
    return clientUrl(endpoint, `user-${n}`);
  };
  const client = new WebPubSubClient({ getClientAccessUrl });
  client.on("connected", () => {
    seen.connected += 1;
    attempts = 0;
    seen.mostConnections = Math.max(seen.mostConnections, ++connections);
  });
  client.on("disconnected", () => ((seen.connected -= 1), (seen.disconnected += 1)));
  client.on("server-message", () => (seen.messages += 1));
  await client.start();
}

process.on("message", () => process.send(seen));
process.on("disconnect", () => process.exit());
let next = 0;
const startNext = async () => {
  while (next < Number(count)) await start(next++);
};
await Promise.all(Array.from({ length: AT_ONCE }, startNext));
