// Two nodes as two processes with a real registry: third-party clients on either
// node reach each other.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DEADLINE, Peer, Registry, Server, eventually } from "./kit.mjs";

const timeout = 4 * DEADLINE;
const HUB = "/client/hubs/chat";
const SUBPROTOCOL = { protocols: ["json.webpubsub.azure.v1"] };

for (const kind of ["redis", "etcd"]) {
  describe(`two nodes over ${kind}`, () => {
    let registry, nodes, yardsticks;
    before(async () => {
      registry = await Registry[kind]();
      nodes = [await Server.node(registry.url), await Server.node(registry.url)];
      const yardstick = () => Server.node(`${registry.url}`, { yardstick: true });
      yardsticks = [await yardstick(), await yardstick()];
    });
    after(async () => {
      for (const node of [...(nodes ?? []), ...(yardsticks ?? [])]) await node.stop();
      await registry?.stop();
    });

    const ask = async (node, target) => (await fetch(node.url(target, "http"))).json();

    test("a message to a group reaches the other node once its member's join is acknowledged", { timeout }, async () => {
      const [ada, ben] = await Promise.all(
        nodes.map((node, i) => Peer.open(node.url(`${HUB}?user=user-${i}`), SUBPROTOCOL)),
      );
      const read = async (peer) => JSON.parse((await peer.message()).data);
      for (const peer of [ada, ben]) assert.equal((await read(peer)).event, "connected");
      ben.send(JSON.stringify({ type: "joinGroup", group: "room", ackId: 1 }));
      assert.equal((await read(ben)).success, true);
      const message = { type: "sendToGroup", group: "room", dataType: "text", data: "across", ackId: 1 };
      ada.send(JSON.stringify(message));
      assert.equal((await read(ada)).success, true);
      const got = await read(ben);
      assert.deepEqual([got.type, got.from, got.data, got.fromUserId], ["message", "group", "across", "user-0"]);
      for (const peer of [ada, ben]) peer.socket.terminate();
    });

    test("clients are reached by id from the other node, and a newer connection wins", { timeout }, async () => {
      const [a, b] = yardsticks;
      await eventually("both know each other", async () => (await ask(a, "/stats")).peers_up >= 1);
      const first = await Peer.open(b.url("/ws?id=ben"));
      assert.deepEqual(await ask(a, "/emit?id=ben&data=one"), { delivery: "delivered" });
      assert.equal((await first.message()).data.toString(), "one");
      assert.equal((await ask(a, "/online?id=ben")).online, true);

      const second = await Peer.open(a.url("/ws?id=ben"));
      assert.equal((await first.closed).code, 4409);
      assert.deepEqual(await ask(b, "/emit?id=ben&data=two"), { delivery: "delivered" });
      assert.equal((await second.message()).data.toString(), "two");

      const third = await Peer.open(b.url("/ws?id=cas"));
      const { count, not_reached } = await ask(a, "/broadcast?data=all");
      assert.deepEqual(not_reached, []);
      assert.ok(count >= 2, `${count} reached`);
      for (const peer of [second, third]) assert.equal((await peer.message()).data.toString(), "all");

      second.socket.close();
      third.socket.close();
      await eventually("their entries are gone", async () => (await ask(a, "/online?id=ben")).online === false);
      // In the first lease of a new registry, a missing entry proves nothing.
      await eventually("it is offline", async () => (await ask(b, "/emit?id=ben&data=three")).delivery === "offline");
    });

    test("clients of a dead node are offline, and the other nodes keep working", { timeout }, async () => {
      const doomed = await Server.node(registry.url, { yardstick: true });
      const peer = await Peer.open(doomed.url("/ws?id=doomed"));
      const [a] = yardsticks;
      assert.equal((await ask(a, "/emit?id=doomed&data=x")).delivery, "delivered");
      doomed.terminate("SIGKILL");
      await peer.closed;
      const begin = Date.now();
      const { delivery } = await ask(a, "/emit?id=doomed&data=x");
      assert.ok(["offline", "unreachable", "unknown"].includes(delivery), delivery);
      assert.ok(Date.now() - begin < 1500, `${Date.now() - begin} ms`);
      await eventually("it is offline", async () => (await ask(a, "/emit?id=doomed&data=x")).delivery === "offline");
    });
  });
}
