// pusher-js on one of two nodes, the server library for Node on the other.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Application, Client, Cluster, backend, webhook } from "./apps.mjs";
import { DEADLINE, eventually, freePort } from "./kit.mjs";

const timeout = 4 * DEADLINE;

describe("pusher-js and pusher on two nodes", { concurrency: true }, () => {
  let cluster, here, there, application, service;
  before(async () => {
    const port = await freePort();
    cluster = await Cluster.start({ app: webhook(port) });
    [here, there] = cluster.nodes;
    service = backend(here);
    application = await Application.start(here, port);
  });
  after(async () => {
    await application?.stop();
    await cluster?.stop();
  });

  /** Runs a test with a client on the other node for each user. */
  const withClients = (name, users, body) =>
    test(name, { timeout }, async () => {
      const clients = [];
      try {
        for (const user of users) clients.push(await Client.open(there.port, application, user));
        await body(...clients);
      } finally {
        clients.forEach((client) => client.close());
      }
    });

  const json = async (path, params) => (await service.get({ path, params })).json();

  withClients("events arrive as they were published, but not at whom they leave out", ["ada", "ben"], async (ada, ben) => {
    for (const client of [ada, ben]) {
      for (const name of ["news", "a@b,c.d;e=f_G-1"]) await client.subscribe(name);
    }
    await service.trigger(["news", "a@b,c.d;e=f_G-1"], "both", { text: "to ž" });
    await service.trigger("news", "without-ada", "", { socket_id: ada.id });
    await service.triggerBatch([
      { channel: "news", name: "first", data: "no JSON" },
      { channel: "news", name: "end", data: [1, null] },
    ]);
    assert.deepEqual(await ben.events("both", 2), [{ text: "to ž" }, { text: "to ž" }]);
    assert.deepEqual(await ben.events("without-ada"), [""]);
    for (const client of [ada, ben]) assert.deepEqual(await client.events("end"), [[1, null]]);
    assert.deepEqual(await ada.events("first"), ["no JSON"]);
    assert.deepEqual(await ada.events("without-ada", 0), []);
    const info = await service.trigger("news", "info", {}, { info: "subscription_count" });
    assert.deepEqual(await info.json(), { channels: { news: { subscription_count: 2 } } });
    ada.pusher.unsubscribe("news");
    await eventually("one is left", async () => {
      const { subscription_count: count } = await json("/channels/news", { info: "subscription_count" });
      return count === 1;
    });
  });

  withClients("only who is authorized subscribes; clients send each other events", ["ada", "ben"], async (ada, ben) => {
    const refused = [];
    for (const name of ["private-forbidden", "private-forged"]) {
      ada.pusher.subscribe(name).bind("pusher:subscription_error", (error) => refused.push(error.status));
    }
    await eventually("both are refused", () => refused.length === 2);
    assert.deepEqual(refused.sort(), [401, 403]);
    const [channel] = [await ada.subscribe("private-room"), await ben.subscribe("private-room")];
    channel.trigger("client-typing", { by: ["ada"] });
    await service.trigger("private-room", "end", {});
    assert.deepEqual(await ben.events("client-typing"), [{ by: ["ada"] }]);
    await ada.events("end");
    assert.deepEqual(await ada.events("client-typing", 0), []);
  });

  withClients("members are told of each other, each once", ["ada", "ada", "ben"], async (ada, again, ben) => {
    const room = await ada.subscribe("presence-room");
    assert.deepEqual(room.members.me, { id: "ada", info: { name: "ada ž" } });
    await again.subscribe("presence-room");
    const other = await ben.subscribe("presence-room");
    assert.deepEqual(other.members.members, { ada: { name: "ada ž" }, ben: { name: "ben ž" } });
    assert.deepEqual(await ada.events("pusher:member_added"), [{ id: "ben", info: { name: "ben ž" } }]);
    const senders = [];
    room.bind("client-typing", (data, { user_id: user }) => senders.push(user));
    other.trigger("client-typing", {});
    await eventually("the sender is named", () => senders.length);
    assert.deepEqual(senders, ["ben"]);
    const query = { info: "user_count", filter_by_prefix: "presence-room" };
    assert.deepEqual(await json("/channels", query), { channels: { "presence-room": { user_count: 2 } } });
    const { users } = await json("/channels/presence-room/users");
    assert.deepEqual(users.map(({ id }) => id).sort(), ["ada", "ben"]);
    again.pusher.unsubscribe("presence-room");
    ben.close();
    assert.deepEqual(await ada.events("pusher:member_removed"), [{ id: "ben", info: { name: "ben ž" } }]);
    assert.equal(room.members.count, 1);
  });

  withClients("webhooks are signed, and told once", ["ada"], async (ada) => {
    const channel = await ada.subscribe("presence-hooks");
    channel.trigger("client-typing", { by: "ada" });
    const hooks = () => application.hooks.filter((hook) => hook.channel === channel.name);
    await eventually("three webhooks", () => hooks().length >= 3);
    const byName = (one, other) => one.name.localeCompare(other.name);
    const event = { name: "client_event", event: "client-typing", data: '{"by":"ada"}', socket_id: ada.id, user_id: "ada" };
    assert.deepEqual(hooks().sort(byName), [
      { name: "channel_occupied", channel: channel.name },
      { ...event, channel: channel.name },
      { name: "member_added", channel: channel.name, user_id: "ada" },
    ]);
  });

  withClients("what is encrypted is read by subscribers only", ["ada"], async (ada) => {
    const name = "private-encrypted-room";
    await ada.subscribe(name);
    await service.trigger(name, "secret", { text: "ž" });
    assert.deepEqual(await ada.events("secret"), [{ text: "ž" }]);
  });

  withClients("a cache channel tells newcomers the last event", ["ada", "ben"], async (ada, ben) => {
    for (const name of ["cache-news", "private-cache-news", "presence-cache-news"]) {
      await ada.subscribe(name);
      await service.trigger(name, name, { text: "last" });
      await ada.events(name);
      await ben.subscribe(name);
      assert.deepEqual(await ben.events(name), [{ text: "last" }]);
    }
    assert.equal((await ada.events("pusher:cache_miss", 3)).length, 3);
    assert.equal((await ben.events("pusher:cache_miss", 0)).length, 0);
    const { cache } = await json("/channels/cache-news", { info: "cache" });
    assert.equal(cache.data, '{"text":"last"}');
  });

  withClients("who signs in is reached as a user, watched, and closed", ["ada", "ben"], async (ada, ben) => {
    const seen = [];
    for (const state of ["online", "offline"]) {
      ada.pusher.user.watchlist.bind(state, ({ user_ids: ids }) => seen.push(`${state} ${ids}`));
    }
    for (const client of [ada, ben]) {
      client.pusher.signin();
      await client.pusher.user.signinDonePromise;
    }
    assert.equal(ada.pusher.user.user_data.id, "ada");
    await eventually("ada can be reached", () => ada.pusher.user.serverToUserChannel.subscribed);
    await service.sendToUser("ada", "letter", { text: "to ada" });
    assert.deepEqual(await ada.events("letter"), [{ text: "to ada" }]);
    await eventually("ada sees ben come", () => seen.includes("online ben"));
    await service.terminateUserConnections("ben");
    await ben.reaches("disconnected");
    assert.equal(ben.errors.at(-1), 4009);
    await eventually("ada sees ben go", () => seen.at(-1) === "offline ben");
    assert.equal(ada.pusher.connection.state, "connected");
  });

  test("errors of the HTTP API", { timeout }, async () => {
    const status = (promise) => promise.then(({ status }) => status, ({ status }) => status);
    assert.equal(await status(service.trigger("news", "long", "x".repeat(10_240))), 200);
    assert.equal(await status(service.trigger("news", "long", "x".repeat(10_241))), 413);
    assert.equal(await status(backend(here, { secret: "another" }).trigger("news", "e", {})), 401);
    assert.equal(await status(backend(here, { appId: "2" }).trigger("news", "e", {})), 404);
  });
});
