// The official JavaScript SDK for backends, unmodified, on one node; its clients, of the official SDK
// too, on the other.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WebPubSubServiceClient, odata } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { DEADLINE, Registry, Server, eventually, within } from "./kit.mjs";

const timeout = 6 * DEADLINE;
const KEY = "an access key of thirty-two bytes";
const TEXT = { contentType: "text/plain" };

/** A client on a node other than that of its token. */
class Member {
  static async start(node, service, protocol, options) {
    const token = await service.getClientAccessToken(options);
    const url = new URL(token.url);
    url.port = node.port;
    const member = new Member(url.href, protocol);
    await within(member.client.start(), `${options.userId} starts`);
    await eventually("connected", () => member.seen.connected.length);
    return member;
  }

  constructor(url, protocol) {
    this.client = new WebPubSubClient(url, {
      protocol,
      autoReconnect: false,
      messageRetryOptions: { maxRetries: 0 },
      // The client's timers outlive its stop() and would keep the process alive.
      keepAliveIntervalInMs: 0,
      keepAliveTimeoutInMs: 0,
    });
    this.seen = { connected: [], disconnected: [], stopped: [], "group-message": [], "server-message": [] };
    for (const [event, list] of Object.entries(this.seen)) this.client.on(event, (args) => list.push(args));
  }

  get id() {
    return this.seen.connected[0].connectionId;
  }

  /** The data of the first messages from the server or of a group. */
  async data(count, event = "server-message") {
    await eventually(`${count} × ${event}`, () => this.seen[event].length >= count);
    return this.seen[event].map(({ message: { dataType, data } }) =>
      dataType === "binary" ? [...new Uint8Array(data)] : data,
    );
  }

  /** What the server said when it disconnected the client. */
  async goodbye() {
    await eventually("disconnected", () => this.seen.disconnected.length);
    return this.seen.disconnected[0].message.message;
  }

  async stop() {
    if (this.seen.disconnected.length === 0) this.client.stop();
    await eventually("stopped", () => this.seen.stopped.length);
  }
}

describe("@azure/web-pubsub on another node than its clients", () => {
  let registry, here, there;
  before(async () => {
    registry = await Registry.redis();
    [here, there] = [await node(), await node()];
  });
  after(async () => {
    for (const running of [here, there, registry]) await running?.stop();
  });
  const node = () => Server.node(registry.url, { env: { TIELINE_KEY: KEY } });

  const backend = (hub, key = KEY) =>
    new WebPubSubServiceClient(`Endpoint=${here.url("", "http")};AccessKey=${key};Version=1.0;`, hub, {
      allowInsecureConnection: true,
      retryOptions: { maxRetries: 0 },
    });

  /** Runs a test in a hub of its own, with a client for each user, in turn of the subprotocol without and
   * with sequence numbers, which is the default. */
  const withClients = (name, hub, users, body, options = {}) =>
    test(name, { timeout }, async () => {
      const service = backend(hub);
      const members = [];
      try {
        for (const userId of users) {
          const protocol = members.length % 2 === 0 ? WebPubSubJsonProtocol() : undefined;
          members.push(await Member.start(there, service, protocol, { userId, ...options }));
        }
        await body(service, ...members);
      } finally {
        for (const member of members) await member.stop();
      }
    });

  withClients("sends to everyone, a user, a connection", "sends", ["ada", "ben"], async (service, ada, ben) => {
    await service.sendToAll("to ž", TEXT);
    await service.sendToAll({ a: [1, null] });
    await service.sendToAll(new Uint8Array([0, 1, 255]).buffer, { messageTtlSeconds: 60 });
    await service.sendToAll("for ben", { ...TEXT, excludedConnections: [ada.id] });
    await service.sendToAll("for ada", { ...TEXT, filter: odata`userId eq ${"ada"}` });
    await service.sendToUser("ada", "user", TEXT);
    await service.sendToUser("ben", "no", { ...TEXT, filter: "userId ne 'ben'" });
    await service.sendToConnection(ben.id, { connection: true });
    await service.sendToUser("nobody", "silence", TEXT);
    await service.sendToAll("end", TEXT);
    const common = ["to ž", { a: [1, null] }, [0, 1, 255]];
    assert.deepEqual(await ada.data(6), [...common, "for ada", "user", "end"]);
    assert.deepEqual(await ben.data(6), [...common, "for ben", { connection: true }, "end"]);
  });

  withClients("changes groups, and sends to them", "groups", ["ada", "ben", "cleo"], async (service, ...members) => {
    const [ada, ben, cleo] = members;
    const group = service.group("g/ 1%+");
    await group.addConnection(ada.id);
    await group.addUser("ben");
    await group.sendToAll("ada, ben", TEXT);
    await group.sendToAll({ to: "ben" }, { excludedConnections: [ada.id] });
    await service.addConnectionsToGroups(["g/ 1%+", "other"], "userId eq 'cleo'");
    await service.group("other").sendToAll("cleo", TEXT);
    await group.removeConnection(ada.id);
    await group.sendToAll("ben, cleo", TEXT);
    await group.removeUser("ben");
    await service.removeConnectionsFromGroups(["g/ 1%+"], "userId eq 'cleo'");
    await group.sendToAll("nobody", TEXT);
    await service.group("other").addConnection(ada.id);
    await service.group("other").addUser("ben");
    await service.removeConnectionFromAllGroups(ada.id);
    await service.removeUserFromAllGroups("ben");
    await service.group("other").sendToAll("cleo again", { ...TEXT, filter: "'other' in groups" });
    await service.sendToAll("end", TEXT);
    for (const member of members) assert.deepEqual(await member.data(1), ["end"]);
    const heard = (member, count) => member.data(count, "group-message");
    assert.deepEqual(await heard(ada, 1), ["ada, ben"]);
    assert.deepEqual(await heard(ben, 3), ["ada, ben", { to: "ben" }, "ben, cleo"]);
    assert.deepEqual(await heard(cleo, 3), ["cleo", "ben, cleo", "cleo again"]);
  });

  withClients("finds connections, users and groups", "exists", ["ada/1"], async (service, ada) => {
    assert.equal(await service.connectionExists(ada.id), true);
    assert.equal(await service.userExists("ada/1"), true);
    await service.group("g").addConnection(ada.id);
    assert.equal(await service.groupExists("g"), true);
    // In the first lease of a new registry, a missing entry proves nothing.
    await eventually("no other connection", async () => !(await service.connectionExists("another").catch(() => true)));
    assert.equal(await service.userExists("another"), false);
    assert.equal(await service.groupExists("another"), false);
    // Names of another hub are others.
    assert.equal(await backend("elsewhere").userExists("ada/1"), false);
  });

  withClients("lists the members of a group in pages", "lists", ["ada", "ben", "cleo"], async (service, ...members) => {
    const group = service.group("g");
    for (const member of members) await group.addConnection(member.id);
    const all = [];
    for await (const member of await group.listConnections({ maxPageSize: 2 })) all.push(member);
    const sorted = all.map(({ connectionId, userId }) => `${connectionId} ${userId}`).sort();
    const expected = members.map(({ id }, n) => `${id} ${["ada", "ben", "cleo"][n]}`).sort();
    assert.deepEqual(sorted, expected);
    const pages = (await group.listConnections({ maxPageSize: 2 })).byPage();
    assert.equal((await pages.next()).value.length, 2);
    const top = [];
    for await (const member of await group.listConnections({ top: 1 })) top.push(member);
    assert.equal(top.length, 1);
    for await (const member of await service.group("empty").listConnections()) assert.fail(member.userId);
  });

  withClients("grants, checks and revokes permissions", "permissions", ["ada"], async (service, ada) => {
    const target = { targetName: "g" };
    const forbidden = (error) => error.errorDetail.name === "Forbidden";
    await assert.rejects(ada.client.joinGroup("g"), forbidden);
    for (const permission of ["joinLeaveGroup", "sendToGroup"]) {
      assert.equal(await service.hasPermission(ada.id, permission, target), false);
      await service.grantPermission(ada.id, permission, target);
      assert.equal(await service.hasPermission(ada.id, permission, target), true);
    }
    await ada.client.joinGroup("g");
    await ada.client.sendToGroup("g", "permitted", "text");
    assert.deepEqual(await ada.data(1, "group-message"), ["permitted"]);
    await service.revokePermission(ada.id, "sendToGroup", target);
    assert.equal(await service.hasPermission(ada.id, "sendToGroup", target), false);
    await assert.rejects(ada.client.sendToGroup("g", "no", "text"), forbidden);
  });

  const users = ["ada", "ben", "cleo", "dan", "eve"];
  withClients("disconnects clients, with a reason", "closes", users, async (service, ada, ben, cleo, dan, eve) => {
    await service.closeConnection(ada.id, { reason: "one" });
    assert.match(await ada.goodbye(), /one/);
    await service.closeUserConnections("ben", { reason: "two" });
    assert.match(await ben.goodbye(), /two/);
    const group = service.group("g");
    for (const member of [cleo, dan]) await group.addConnection(member.id);
    await group.closeAllConnections({ reason: "three", excluded: [dan.id] });
    assert.match(await cleo.goodbye(), /three/);
    await service.closeAllConnections({ reason: "four" });
    for (const member of [dan, eve]) assert.match(await member.goodbye(), /four/);
    // Closing is idempotent.
    await eventually("none left", async () => !(await service.userExists("dan").catch(() => true)));
    await service.closeConnection(ada.id);
  });

  withClients("has the roles and groups of its token", "tokens", ["ada"], async (service, ada) => {
    await service.group("from the token").sendToAll("in", TEXT);
    assert.deepEqual(await ada.data(1, "group-message"), ["in"]);
    await ada.client.joinGroup("room.1");
    await assert.rejects(ada.client.joinGroup("hall"), (error) => error.errorDetail.name === "Forbidden");
  }, { roles: ["webpubsub.joinLeaveGroups.room.*"], groups: ["from the token"] });

  test("errors have their status and code", { timeout }, async () => {
    const service = backend("errors");
    const failed = async (call, status, code) => {
      const error = await call.then(() => assert.fail("succeeded"), (error) => error);
      assert.deepEqual([error.statusCode, error.code], [status, code], error.message);
    };
    await eventually("a missing connection is known to be missing", () =>
      service.group("g").addConnection("nobody").then(() => false, ({ statusCode }) => statusCode === 404));
    await failed(service.group("g").addConnection("nobody"), 404, "Info.Connection.NotExisted");
    await failed(service.sendToAll("x", { ...TEXT, filter: "userId eq" }), 400, "Error.BadRequest");
    await failed(service.sendToAll("x", { ...TEXT, messageTtlSeconds: 301 }), 400, "Error.BadRequest");
    const { statusCode } = await backend("errors", KEY.toUpperCase()).sendToAll("x", TEXT).catch((error) => error);
    assert.equal(statusCode, 401);
  });
});
