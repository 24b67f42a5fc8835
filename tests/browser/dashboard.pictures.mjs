// Makes the pictures of docs/dashboard.md: two nodes over Redis with clients that talk.
//
//   TIELINE_BIN=target/debug/tieline node tests/browser/dashboard.pictures.mjs
//
// Look at each of them before you commit it.

import { once } from "node:events";
import { createServer } from "node:http";
import { Clients, Operator, startCluster } from "./dashboard.mjs";
import { clientUrl } from "./proxies/processes.mjs";
import { repository, requireBinary } from "./server.mjs";
import { launch, phone } from "./visitor.mjs";

const folder = `${repository}docs/images`;
const PEOPLE = ["ada", "grace", "alan", "edsger", "barbara", "tony", "frances", "donald", "radia", "ken", "karen", "john"];
const ROOMS = ["engines", "tea", "reading", "chess"];
// So long, the curves have a shape.
const TALK_MS = 25_000;

requireBinary();
const browser = await launch();
const { cluster, clients, stop } = await stage();
try {
  await talk(cluster, clients);
  const [first] = cluster.nodes;
  const desktop = { viewport: { width: 1180, height: 540 } };
  const light = await Operator.open(browser, first, desktop);
  const dark = await Operator.open(browser, first, { ...desktop, colorScheme: "dark", view: "#/connections" });
  const small = await Operator.open(browser, first, { ...phone, deviceScaleFactor: 2 });
  await new Promise((resolve) => setTimeout(resolve, TALK_MS));
  await shot(light, "nodes");
  await dark.row("connections-table", "ada").waitFor();
  await shot(dark, "connections-dark");
  await dark.row("connections-table", "grace").getByRole("link").click();
  await dark.fact("User", "grace").waitFor();
  await dark.page.setViewportSize({ width: 1180, height: 800 });
  await shot(dark, "connection-dark");
  await dark.button("Follow").click();
  await dark.event("from client", "sendToGroup").nth(1).waitFor();
  await dark.button("Pause").click();
  await dark.page.locator("#follow-title").evaluate((title) => title.scrollIntoView());
  await dark.page.evaluate(() => scrollBy(0, -70));
  await dark.page.setViewportSize({ width: 1180, height: 640 });
  await shot(dark, "follow-dark");
  await shot(small, "phone");
  await light.page.setViewportSize({ width: 1180, height: 320 });
  await light.choose("Refusals");
  await light.page.locator("#refusals-table tbody tr").nth(2).waitFor();
  await shot(light, "refusals");
  for (const operator of [light, dark, small]) operator.assertNoErrors();
} finally {
  await stop();
}

/** The cluster, its event handler and its clients. */
async function stage() {
  const answer = (_, response) => response.writeHead(204, { "webhook-allowed-origin": "*" }).end();
  const handler = createServer(answer).listen(0, "127.0.0.1");
  await once(handler, "listening");
  const cluster = await startCluster({ TIELINE_EVENT_HANDLER: `http://127.0.0.1:${handler.address().port}/events` });
  const clients = await Clients.open(browser);
  const stop = async () => {
    await browser.close();
    await cluster.stop();
    handler.close();
  };
  return { cluster, clients, stop };
}

async function talk({ nodes }, clients) {
  for (const [n, name] of PEOPLE.entries()) {
    await clients.connect(nodes[n % 2], name, ROOMS.slice(0, 1 + (n % ROOMS.length)));
  }
  await refused(nodes, clients);
  await clients.page.evaluate(() => setInterval(() => {
    const all = [...window.clients.values()];
    const { socket } = all[Math.floor(Math.random() * all.length)];
    socket.send(JSON.stringify({ type: "sendToGroup", group: "engines", dataType: "text", data: "hello" }));
  }, 20));
}

/** Clients that do not get in, each for another reason. */
async function refused(nodes, clients) {
  const urls = [
    clientUrl(`http://${nodes[0].address}`, "ada").replace(/access_token=.*/u, ""),
    `${clientUrl(`http://${nodes[1].address}`, "ada")}x`,
    clientUrl(`http://${nodes[0].address}`, "ada").replace("/chat", "/devices"),
  ];
  for (const url of urls) await clients.connectInVain(url);
}

function shot({ page }, name) {
  return page.screenshot({ path: `${folder}/dashboard-${name}.png` });
}
