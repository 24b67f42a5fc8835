// What pusher-js does while nodes restart, die or are full.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Application, Client, Cluster, LEASE, Proxy, backend } from "./apps.mjs";
import { DEADLINE, eventually } from "./kit.mjs";

const timeout = 6 * DEADLINE;

/** Runs a test with two nodes, the application, and a proxy in front of the nodes. `join` adds a client, of a port. */
const withCluster = (name, body, settings) =>
  test(name, { timeout }, async () => {
    const cluster = await Cluster.start(settings);
    const application = await Application.start(cluster.nodes[1]);
    const proxy = await Proxy.start(cluster.nodes);
    const clients = [];
    const join = (port, user) => {
      clients.push(new Client(port, application, user));
      return clients.at(-1);
    };
    try {
      await body({ cluster, proxy, join });
    } finally {
      clients.forEach((client) => client.close());
      proxy.stop();
      await application.stop();
      await cluster.stop();
    }
  });

withCluster("a rolling restart: each client is back at once, with its channels", async ({ cluster, proxy, join }) => {
  const users = Array.from({ length: 5 }, (_, n) => `user-${n}`);
  const clients = users.map((user) => join(proxy.port, user));
  for (const client of clients) {
    await client.reaches("connected");
    for (const name of ["news", "private-news", "presence-news"]) await client.subscribe(name);
    client.pusher.signin();
    await client.pusher.user.signinDonePromise;
  }
  for (const [n, node] of [...cluster.nodes].entries()) {
    const was = clients.map(({ id }) => id);
    clients.forEach(({ errors }) => (errors.length = 0));
    const stopped = node.stop();
    const begin = performance.now();
    await Promise.all(clients.map((client, n) => eventually("a client is back", () => isBack(client, was[n]))));
    const took = performance.now() - begin;
    // The drain spreads its closes over a second.
    assert.ok(took < 4_000, `all are back after ${took} ms`);
    const closes = clients.flatMap(({ errors }) => errors);
    assert.ok(closes.length >= 5 && closes.every((code) => code === 4200), String(closes));
    assert.deepEqual(await stopped, { code: 0, signal: null });
    cluster.nodes[n] = await cluster.node();
    proxy.nodes = [...cluster.nodes];
    const service = backend(cluster.nodes[n]);
    await service.triggerBatch(["news", "private-news"].map((channel) => ({ channel, name: `after-${n}`, data: n })));
    await service.sendToUser("user-0", `to-user-${n}`, {});
    for (const client of clients) assert.equal((await client.events(`after-${n}`, 2)).length, 2);
    await clients[0].events(`to-user-${n}`);
    const { users: members } = await (await service.get({ path: "/channels/presence-news/users" })).json();
    assert.deepEqual(members.map(({ id }) => id).sort(), users);
  }
  for (const client of clients) {
    assert.ok(!client.states.includes("disconnected") && !client.states.includes("unavailable"), String(client.states));
  }
});

/** Whether a client has connected anew, and has all that it had. */
function isBack({ id, pusher }, was) {
  const channels = pusher.allChannels();
  return id !== was && pusher.connection.state === "connected" && channels.every(({ subscribed }) => subscribed) &&
    pusher.user.serverToUserChannel?.subscribed;
}

withCluster("the members on a node that is killed are told to have gone, once", async ({ cluster, join }) => {
  const [here, there] = cluster.nodes;
  const ada = join(here.port, "ada");
  const room = await ada.subscribe("presence-room");
  const lost = ["ben", "cleo", "ben"].map((user) => join(there.port, user));
  for (const client of lost) await client.subscribe("presence-room");
  await ada.events("pusher:member_added", 2);
  const begin = performance.now();
  await there.stop("SIGKILL");
  await ada.events("pusher:member_removed", 2);
  const took = (performance.now() - begin) / 1000;
  assert.ok(took < LEASE + 5, `gone after ${took} s`);
  lost.forEach((client) => client.close());
  // Whoever comes later is told after anything that was still to be told.
  await join(here.port, "dan").subscribe("presence-room");
  await ada.events("pusher:member_added", 3);
  const gone = await ada.events("pusher:member_removed", 2);
  assert.deepEqual(gone.map(({ id }) => id).sort(), ["ben", "cleo"]);
  assert.equal(room.members.count, 2);
});

withCluster(
  "a full node is tried again until there is room",
  async ({ cluster, join }) => {
    const [{ port }] = cluster.nodes;
    const first = join(port, "ada");
    await first.reaches("connected");
    const second = join(port, "ben");
    await eventually("the second is refused twice", () => second.errors.length >= 2);
    assert.ok(second.errors.every((code) => code === 4100), String(second.errors));
    first.close();
    await second.reaches("connected");
    assert.ok(!second.states.includes("disconnected"), String(second.states));
  },
  { env: { TIELINE_MAX_CONNECTIONS: "1" } },
);
