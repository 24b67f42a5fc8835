// The official JavaScript client of Web PubSub, unmodified, with the JSON
// subprotocol and its defaults, but without retries, so that failures show.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { DEADLINE, Peer, Server, eventually, within } from "./kit.mjs";

const timeout = 4 * DEADLINE;
const HUB = "/client/hubs/chat";

/** A client of the package, with its received messages. */
class Member {
  constructor(server, user, options = {}) {
    this.client = new WebPubSubClient(server.url(`${HUB}?user=${user}`), {
      protocol: WebPubSubJsonProtocol(),
      messageRetryOptions: { maxRetries: 0 },
      reconnectRetryOptions: { retryDelayInMs: 100 },
      // The client's timers outlive its stop() and would keep the process alive.
      keepAliveIntervalInMs: 0,
      keepAliveTimeoutInMs: 0,
      ...options,
    });
    this.seen = { connected: [], disconnected: [], stopped: [], "group-message": [], "server-message": [] };
    for (const [event, list] of Object.entries(this.seen)) this.client.on(event, (args) => list.push(args));
  }

  static async start(server, user, options) {
    const member = new Member(server, user, options);
    await within(member.client.start(), `${user} starts`);
    await member.count("connected", 1);
    return member;
  }

  count(event, n) {
    return eventually(`${n} × ${event}`, () => this.seen[event].length >= n);
  }

  async messages(event, n) {
    await this.count(event, n);
    return this.seen[event].map(({ message }) => message);
  }

  /** The data of the first matching message of this kind from the server. */
  answer(kind, wanted = () => true) {
    const fits = ({ dataType, data }) => dataType === "json" && data.kind === kind && wanted(data);
    const find = () => this.seen["server-message"].map(({ message }) => message).find(fits)?.data;
    return eventually(`an answer ${kind}`, find);
  }

  async stop() {
    this.client.stop();
    await this.count("stopped", 1);
  }
}

async function withMembers(server, users, body) {
  const members = [];
  try {
    for (const user of users) members.push(await Member.start(server, user));
    await body(...members);
  } finally {
    for (const member of members) await member.stop();
  }
}

describe("@azure/web-pubsub-client with tieline serve", () => {
  let server;
  before(async () => (server = await Server.tieline("serve")));
  after(() => server?.stop());

  test("connects, and knows its user and its connection", { timeout }, () =>
    withMembers(server, ["ada", "ben"], async (ada, ben) => {
      assert.equal(ada.seen.connected[0].userId, "ada");
      assert.equal(ben.seen.connected[0].userId, "ben");
      const ids = [ada, ben].map((member) => member.seen.connected[0].connectionId);
      assert.ok(ids.every((id) => typeof id === "string" && id.length > 0));
      assert.notEqual(ids[0], ids[1]);
    }));

  test("sends every data type to a group, sender included", { timeout }, () =>
    withMembers(server, ["ada", "ben"], async (ada, ben) => {
      const { client } = ada;
      await client.joinGroup("g1");
      await ben.client.joinGroup("g1");
      await client.sendToGroup("g1", " text,\n kept ", "text");
      await client.sendToGroup("g1", { deep: [1, "zwei", null], "ž": true }, "json");
      await client.sendToGroup("g1", new Uint8Array([1, 2, 3, 255]).buffer, "binary");
      for (const member of [ada, ben]) {
        const [text, json, binary] = await member.messages("group-message", 3);
        assert.equal(text.group, "g1");
        assert.equal(text.fromUserId, "ada");
        assert.equal(text.dataType, "text");
        assert.equal(text.data, " text,\n kept ");
        assert.equal(json.dataType, "json");
        assert.deepEqual(json.data, { deep: [1, "zwei", null], "ž": true });
        assert.equal(binary.dataType, "binary");
        assert.deepEqual([...new Uint8Array(binary.data)], [1, 2, 3, 255]);
      }
    }));

  test("noEcho excludes the sender; former members receive nothing", { timeout }, () =>
    withMembers(server, ["ada", "ben", "cleo"], async (ada, ben, cleo) => {
      for (const member of [ada, ben, cleo]) await member.client.joinGroup("g2");
      await cleo.client.leaveGroup("g2");
      await ada.client.sendToGroup("g2", "without me", "text", { noEcho: true });
      await ada.client.sendToGroup("g2", "for all", "text");
      const data = async (member, n) => (await member.messages("group-message", n)).map((m) => m.data);
      assert.deepEqual(await data(ben, 2), ["without me", "for all"]);
      assert.deepEqual(await data(ada, 1), ["for all"]);
      // Acknowledged after all messages that could have been sent to her.
      await cleo.client.joinGroup("g3");
      assert.deepEqual(cleo.seen["group-message"], []);
    }));

  test("an ackId that succeeded once is a duplicate, and does nothing", { timeout }, () =>
    withMembers(server, ["ada"], async (ada) => {
      const { client } = ada;
      assert.equal((await client.joinGroup("g4", { ackId: 700 })).isDuplicated, false);
      assert.equal((await client.sendToGroup("g4", "once", "text", { ackId: 701 })).isDuplicated, false);
      assert.equal((await client.sendToGroup("g4", "twice", "text", { ackId: 701 })).isDuplicated, true);
      await client.sendToGroup("g4", "last", "text");
      const data = (await ada.messages("group-message", 2)).map((message) => message.data);
      assert.deepEqual(data, ["once", "last"]);
    }));

  test("half a surrogate pair fails, and the connection stays", { timeout }, () =>
    withMembers(server, ["ada"], async (ada) => {
      const { client } = ada;
      await client.joinGroup("g5");
      for (const [data, type] of [["\ud83d", "text"], [{ a: "\ude00" }, "json"]]) {
        await assert.rejects(within(client.sendToGroup("g5", data, type), "the ack"), (error) => {
          assert.equal(error.errorDetail.name, "BadRequest");
          assert.match(error.errorDetail.message, /surrogate/);
          return true;
        });
      }
      await client.sendToGroup("g5", "\u{1f600}", "text");
      assert.equal((await ada.messages("group-message", 1))[0].data, "\u{1f600}");
      assert.deepEqual(ada.seen.disconnected, []);
    }));

  test("an event without a handler fails with an error", { timeout }, () =>
    withMembers(server, ["ada"], async ({ client }) => {
      for (const ackId of [800, 800]) {
        await assert.rejects(within(client.sendEvent("any", { a: 1 }, "json", { ackId }), "the ack"), (error) => {
          assert.equal(error.errorDetail?.name, "InternalServerError", "a failed ackId may be used again");
          assert.equal(typeof error.errorDetail.message, "string");
          return true;
        });
      }
    }));

  test("the client's own keep-alive is answered", { timeout }, async () => {
    let pongs = 0;
    const protocol = WebPubSubJsonProtocol();
    const parse = protocol.parseMessages;
    protocol.parseMessages = (input) => {
      const message = parse(input);
      if (message?.kind === "pong") pongs += 1;
      return message;
    };
    const ada = await Member.start(server, "ada", { protocol, keepAliveIntervalInMs: 50 });
    await eventually("three pongs", () => pongs >= 3);
    await ada.stop();
  });

  test("the default, reliable subprotocol works", { timeout }, async () => {
    const [ada, ben] = [await Member.start(server, "ada", { protocol: undefined }), await Member.start(server, "ben")];
    try {
      for (const { client } of [ada, ben]) await client.joinGroup("g6");
      for (const text of ["one", "two"]) await ben.client.sendToGroup("g6", text, "text");
      const got = await ada.messages("group-message", 2);
      assert.deepEqual(got.map(({ data, sequenceId }) => [sequenceId, data]), [[1, "one"], [2, "two"]]);
      assert.equal((await ben.messages("group-message", 2))[0].sequenceId, undefined);
    } finally {
      for (const member of [ada, ben]) await member.stop();
    }
  });
});

describe("@azure/web-pubsub-client with tieline demo", () => {
  let server;
  before(async () => (server = await Server.tieline("demo")));
  after(() => server?.stop());

  test("the handler's replies arrive as messages from the server", { timeout }, () =>
    withMembers(server, ["ada", "ben"], async (ada, ben) => {
      await ada.client.sendEvent("online", {}, "json");
      // The demo also sends it whenever somebody comes or goes.
      const online = await ada.answer("online", ({ total }) => total === 2);
      assert.deepEqual([...online.users].sort(), ["ada", "ben"]);

      await ada.client.sendEvent("direct", { to: "ben", text: "psst" }, "json");
      for (const member of [ada, ben]) {
        const direct = { kind: "direct", from: "ada", to: "ben", text: "psst" };
        assert.deepEqual(await member.answer("direct"), direct);
      }
    }));

  test("a handler that refuses is a failed ack with its name", { timeout }, () =>
    withMembers(server, ["ada"], async ({ client }) => {
      const sent = client.sendEvent("direct", { to: "nobody", text: "psst" }, "json");
      await assert.rejects(within(sent, "the ack"), (error) => error.errorDetail?.name === "Offline");
    }));

  test("simple clients and subprotocol clients share the lobby", { timeout }, () =>
    withMembers(server, ["ada"], async (ada) => {
      await ada.client.joinGroup("lobby");
      const simple = await Peer.open(server.url(`${HUB}?user=ben`));
      simple.send(" plain \n");
      const [message] = await ada.messages("group-message", 1);
      assert.equal(message.group, "lobby");
      assert.equal(message.fromUserId, "ben");
      assert.equal(message.dataType, "text");
      assert.equal(message.data, " plain \n");
      await simple.close();
    }));
});

describe("@azure/web-pubsub-client on the two nodes of tieline demo", () => {
  let server, nodes;
  before(async () => {
    server = await Server.tieline("demo");
    const pages = await eventually("both addresses are printed", () => {
      const found = server.output.match(/http:\/\/[^/\s]+(?=\/)/gu) ?? [];
      return found.length === 2 && found;
    });
    nodes = pages.map((page) => ({ url: (target) => page.replace("http", "ws") + target }));
  });
  after(() => server?.stop());

  async function withBoth(body) {
    const members = [];
    try {
      for (const [node, user] of [[0, "ada"], [1, "ben"]]) members.push(await Member.start(nodes[node], user));
      await body(...members);
    } finally {
      for (const member of members) await member.stop();
    }
  }

  test("messages after an acknowledged join arrive, in order", { timeout }, () =>
    withBoth(async (ada, ben) => {
      for (let round = 0; round < 20; round += 1) {
        await ada.client.joinGroup(`g${round}`);
        await ben.client.sendToGroup(`g${round}`, round, "json", { fireAndForget: true });
      }
      const messages = await ada.messages("group-message", 20);
      assert.deepEqual(messages.map(({ data }) => data), Array.from({ length: 20 }, (_, round) => round));
      assert.ok(messages.every(({ fromUserId }) => fromUserId === "ben"));
    }));

  test("noEcho excludes only the sender", { timeout }, () =>
    withBoth(async (ada, ben) => {
      for (const { client } of [ada, ben]) await client.joinGroup("g");
      await ada.client.sendToGroup("g", "quiet", "text", { noEcho: true });
      await ada.client.sendToGroup("g", "loud", "text");
      const heard = async (member, n) => (await member.messages("group-message", n)).map(({ data }) => data);
      assert.deepEqual(await heard(ben, 2), ["quiet", "loud"]);
      assert.deepEqual(await heard(ada, 1), ["loud"]);
    }));

  test("a private message reaches a user of both kinds on the other node", { timeout }, () =>
    withBoth(async (ada, ben) => {
      const simple = await Peer.open(nodes[1].url(`${HUB}?user=ben`));
      const direct = { kind: "direct", from: "ada", to: "ben", text: "psst" };
      // Its node announces a new user to the others after the upgrade.
      await eventually("ada sees both", async () => {
        await ada.client.sendEvent("direct", { to: "ben", text: "psst" }, "json").catch(() => {});
        return simple.waiting.length > 0;
      });
      assert.deepEqual(JSON.parse(await simple.text()), direct);
      for (const member of [ada, ben]) assert.deepEqual(await member.answer("direct"), direct);
      await simple.close();
    }));

  test("both nodes show who is online, and on which node", { timeout }, () =>
    withBoth(async (ada, ben) => {
      const [first, second] = nodes.map((node) => new URL(node.url("/")).host);
      for (const member of [ada, ben]) {
        const online = await member.answer("online", ({ users }) => users.join() === "ada,ben");
        assert.deepEqual(online.nodes, { ada: [first], ben: [second] });
      }
      await ben.stop();
      const latest = () => ada.seen["server-message"].map(({ message }) => message.data).findLast(({ kind }) => kind === "online");
      await eventually("ada alone is left", () => latest().users.join() === "ada");
    }));

  test("a newcomer is sent who is online although the list stays the same", { timeout }, () =>
    withBoth(async (ada, ben) => {
      const both = ({ users }) => users.join() === "ada,ben";
      for (const member of [ada, ben]) await member.answer("online", both);
      const again = await Member.start(nodes[0], "ada");
      await again.answer("online", both);
      await again.stop();
    }));
});

describe("a restart of the server", () => {
  test("the client reconnects and joins its groups again", { timeout }, async () => {
    let server = await Server.tieline("serve");
    const [ada, ben] = [await Member.start(server, "ada"), await Member.start(server, "ben")];
    try {
      for (const member of [ada, ben]) await member.client.joinGroup("g");
      await server.stop();
      for (const member of [ada, ben]) await member.count("disconnected", 1);
      server = await Server.tieline("serve", server.port);
      // Raised only after the client has joined its groups again.
      for (const member of [ada, ben]) await member.count("connected", 2);
      assert.notEqual(ada.seen.connected[0].connectionId, ada.seen.connected[1].connectionId);
      await ada.client.sendToGroup("g", "after the restart", "text", { noEcho: true });
      assert.equal((await ben.messages("group-message", 1))[0].data, "after the restart");
    } finally {
      for (const member of [ada, ben]) await member.stop();
      await server.stop();
    }
  });
});
