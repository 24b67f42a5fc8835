// pusher-js and Laravel Echo in pages of an application, with two nodes over Redis; the server library on another
// node than the pages.
//
//   cargo build --release -p tieline-server
//   npm ci --prefix tests/browser
//   npm ci --prefix tests/interop/node
//   node --test tests/browser/pusher.test.mjs

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { APP, Application, backend, Cluster, options, Proxy } from "../interop/node/apps.mjs";
import { launch } from "./visitor.mjs";

const LIMIT = { timeout: 60_000 };
const WAIT = { timeout: 15_000 };
const scripts = ["pusher-js/dist/web/pusher-with-encryption.min.js", "laravel-echo/dist/echo.iife.js"].map((file) =>
  fileURLToPath(new URL(`../interop/node/node_modules/${file}`, import.meta.url)),
);
const EVENT = { text: "to ž" };
const CHANNELS = ["news", "private-room", "presence-room", "private-encrypted-room"];

let browser, cluster, application, proxy;

before(async () => {
  browser = await launch();
  cluster = await Cluster.start();
  application = await Application.start(cluster.nodes[1]);
  proxy = await Proxy.start(cluster.nodes);
}, LIMIT);

after(async () => {
  await browser?.close();
  proxy?.stop();
  await application?.stop();
  await cluster?.stop();
});

/** A page with both scripts. What its client hears is in `heard`. */
async function open(user) {
  const page = await browser.newPage();
  await page.goto(application.url("/"));
  for (const path of scripts) await page.addScriptTag({ path });
  await page.evaluate(
    ({ key, given }) => Object.assign(window, { heard: [], key, given }),
    { key: APP.key, given: options(proxy.port, application, user) },
  );
  return page;
}

/** Waits until a page has heard these, in any order. */
async function hears(page, ...expected) {
  await page.waitForFunction((count) => window.heard.length >= count, expected.length, WAIT);
  const heard = await page.evaluate(() => window.heard.splice(0));
  const sorted = (list) => list.map((each) => JSON.stringify(each)).sort();
  assert.deepEqual(sorted(heard), sorted(expected));
}

/** Subscribes with pusher-js, and signs in. */
async function subscribe(page) {
  await page.evaluate((names) => {
    const pusher = new window.Pusher(window.key, window.given);
    const { connection } = pusher;
    Object.assign(window, { pusher, codes: [], states: [] });
    connection.bind("error", ({ error }) => window.codes.push(...(error?.data?.code ? [error.data.code] : [])));
    connection.bind("state_change", ({ current }) => window.states.push(current));
    pusher.signin();
    pusher.user.bind("letter", (data) => window.heard.push(["letter", data]));
    for (const name of names) {
      const channel = pusher.subscribe(name);
      for (const event of ["client-typing", "event"]) channel.bind(event, (data) => window.heard.push([name, data]));
      channel.bind("pusher:member_added", ({ id }) => window.heard.push(["added", id]));
      channel.bind("pusher:member_removed", ({ id }) => window.heard.push(["removed", id]));
    }
  }, CHANNELS);
  await subscribed(page);
}

/** Waits until it has all its subscriptions on a connection other than this. */
async function subscribed(page, other = null) {
  const condition = (other) => {
    const { connection, user } = window.pusher;
    const all = [...window.pusher.allChannels(), user.serverToUserChannel];
    return ![undefined, null, other].includes(connection.socket_id) && all.every((channel) => channel?.subscribed);
  };
  await page.waitForFunction(condition, other, WAIT);
  return page.evaluate(() => window.pusher.connection.socket_id);
}

/** Publishes to each channel and to the user, by a node. */
async function publish(node, user) {
  const service = backend(node);
  for (const name of CHANNELS) await service.trigger(name, "event", EVENT);
  await service.sendToUser(user, "letter", EVENT);
}
const published = [...CHANNELS, "letter"].map((name) => [name, EVENT]);

test("pusher-js on every kind of channel, and over a restart", LIMIT, async () => {
  const ada = await open("ada");
  await subscribe(ada);
  await publish(cluster.nodes[1], "ada");
  await hears(ada, ...published);

  const ben = await open("ben");
  await subscribe(ben);
  await hears(ada, ["added", "ben"]);
  await ben.evaluate(() => window.pusher.channel("private-room").trigger("client-typing", { by: "ben" }));
  await hears(ada, ["private-room", { by: "ben" }]);
  await ben.close();
  await hears(ada, ["removed", "ben"]);

  const was = await subscribed(ada);
  const stopped = cluster.nodes[0].stop();
  await subscribed(ada, was);
  assert.deepEqual(await stopped, { code: 0, signal: null });
  await publish(cluster.nodes[1], "ada");
  await hears(ada, ...published);
  const { codes, states } = await ada.evaluate(() => ({ codes: window.codes, states: window.states }));
  assert.ok(codes.length > 0 && codes.every((code) => code === 4200), String(codes));
  assert.ok(!states.includes("disconnected") && !states.includes("unavailable"), String(states));
  await ada.close();
  cluster.nodes[0] = await cluster.node();
  proxy.nodes = cluster.nodes;
});

for (const broadcaster of ["reverb", "pusher"]) {
  test(`Laravel Echo, broadcaster "${broadcaster}"`, LIMIT, async () => {
    const page = await open("ada");
    await page.evaluate((broadcaster) => {
      const { channelAuthorization, ...rest } = window.given;
      const { endpoint: authEndpoint, headers } = channelAuthorization;
      const echo = new window.Echo.default({ broadcaster, key: window.key, ...rest, authEndpoint, auth: { headers } });
      const hear = (name) => (data) => window.heard.push([name, data]);
      const channels = [echo.channel("orders"), echo.private("orders"), echo.encryptedPrivate("orders")];
      channels.forEach((channel) => {
        channel.listen(".event", hear(channel.name)).subscribed(() => window.heard.push(["subscribed", channel.name]));
      });
      echo.join("orders").here((members) => window.heard.push(["here", members]));
    }, broadcaster);
    const names = ["orders", "private-orders", "private-encrypted-orders"];
    await hears(page, ...names.map((name) => ["subscribed", name]), ["here", [{ name: "ada ž" }]]);
    for (const name of names) await backend(cluster.nodes[1]).trigger(name, "event", EVENT);
    await hears(page, ...names.map((name) => [name, EVENT]));
    await page.close();
  });
}
