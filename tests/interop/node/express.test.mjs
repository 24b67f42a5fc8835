// The official event handler of Web PubSub for Express, unmodified, behind `tieline serve`, with
// the official client in front.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import { DEADLINE, Peer, Server, eventually, freePort, within } from "./kit.mjs";

const timeout = 4 * DEADLINE;
const HUB = "/client/hubs/chat";

/** An application with an event handler, and all that it was told. */
class Application {
  static async start(options = {}) {
    const app = new Application();
    const handler = new WebPubSubEventHandler("chat", {
      path: "/eventhandler",
      handleConnect: (request, response) => app.connect(request, response),
      handleUserEvent: (request, response) => app.event(request, response),
      onConnected: (request) => app.told.push(["connected", request]),
      onDisconnected: (request) => app.told.push(["disconnected", request]),
      onGroupJoined: (request) => app.told.push(["joined", request]),
      onGroupLeft: (request) => app.told.push(["left", request]),
      ...options,
    });
    app.server = express().use(handler.getMiddleware()).listen(0, "127.0.0.1");
    await once(app.server, "listening");
    return app;
  }

  told = [];

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/eventhandler`;
  }

  connect(request, response) {
    this.told.push(["connect", request]);
    if (request.context.userId === "eve") return response.fail(401, "no way");
    response.setState("seen", 0);
    response.success({ userId: `${request.context.userId}!`, groups: ["welcome"] });
  }

  event(request, response) {
    this.told.push([request.context.eventName, request]);
    const seen = request.context.states.seen + 1;
    switch (request.context.eventName) {
      case "fail":
        return response.fail(400, "bad");
      case "silent":
        return response.success();
      case "binary":
        return response.success(request.data);
      case "json":
        return response.success(JSON.stringify({ got: request.data }), "json");
      default:
        response.setState("seen", seen);
        return response.success(`${seen}: ${request.data}`, "text");
    }
  }

  /** Waits until the application was told of this event of a user. */
  hears(event, user) {
    const find = () => this.told.find(([name, { context }]) => name === event && context.userId === user);
    return eventually(`${event} of ${user}`, find).then(([, request]) => request);
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

async function withClient(server, user, body) {
  const client = new WebPubSubClient(server.url(`${HUB}?user=${user}`), {
    protocol: WebPubSubJsonProtocol(),
    autoReconnect: false,
    messageRetryOptions: { maxRetries: 0 },
    keepAliveIntervalInMs: 0,
    keepAliveTimeoutInMs: 0,
  });
  const messages = [];
  client.on("server-message", ({ message }) => messages.push(message));
  const stopped = new Promise((resolve) => client.on("stopped", resolve));
  await within(client.start(), `${user} starts`);
  try {
    await body(client, messages);
  } finally {
    client.stop();
    await within(stopped, `${user} stops`);
  }
}

describe("@azure/web-pubsub-express with tieline serve", () => {
  let app, server;
  before(async () => {
    app = await Application.start();
    server = await Server.serve("--event-handler", app.url, "--event-handler-groups", "**");
  });
  after(async () => {
    await server?.stop();
    await app?.stop();
  });

  test("decides who a client is, and hears of it until it is gone", { timeout }, async () => {
    await withClient(server, "ada", async (client) => {
      const request = await app.hears("connect", "ada");
      assert.deepEqual(request.subprotocols, ["json.webpubsub.azure.v1"]);
      assert.deepEqual(request.queries, { user: ["ada"] });
      assert.deepEqual(request.clientCertificates, []);
      await app.hears("connected", "ada!");
      await client.joinGroup("g");
      await client.leaveGroup("g");
      assert.equal((await app.hears("joined", "ada!")).group, "g");
      assert.equal((await app.hears("left", "ada!")).group, "g");
    });
    const { context, reason } = await app.hears("disconnected", "ada!");
    assert.equal(context.hub, "chat");
    assert.equal(typeof reason, "string");
    const order = app.told.filter(([, request]) => request.context.connectionId === context.connectionId);
    assert.deepEqual(order.map(([name]) => name), ["connect", "connected", "joined", "left", "disconnected"]);
  });

  test("refuses a client", { timeout }, async () => {
    const opened = Peer.open(server.url(`${HUB}?user=eve`));
    await assert.rejects(opened, /Unexpected server response: 401/);
  });

  test("answers events of every data type, with state", { timeout }, () =>
    withClient(server, "ben", async (client, messages) => {
      await client.sendEvent("hello", "a", "text");
      await client.sendEvent("hello", "b", "text");
      await client.sendEvent("json", { a: [1] }, "json");
      await client.sendEvent("binary", new Uint8Array([0, 255]).buffer, "binary");
      await client.sendEvent("silent", "", "text");
      assert.deepEqual(messages.slice(0, 3).map(({ data }) => data), ["1: a", "2: b", { got: { a: [1] } }]);
      assert.deepEqual([...new Uint8Array(messages[3].data)], [0, 255]);
      assert.equal(messages.length, 4);
      await assert.rejects(within(client.sendEvent("fail", "", "text"), "the ack"), ({ errorDetail }) => {
        assert.equal(errorDetail.name, "InternalServerError");
        assert.doesNotMatch(errorDetail.message, /bad/);
        return true;
      });
    }));

  test("answers invocations", { timeout }, () =>
    withClient(server, "cleo", async (client) => {
      const answer = await within(client.invokeEvent("json", { b: 2 }, "json"), "the answer");
      assert.deepEqual(answer.data, { got: { b: 2 } });
      await assert.rejects(within(client.invokeEvent("fail", "", "text"), "the answer"), (error) => {
        assert.equal(error.errorDetail.name, "InternalServerError");
        return true;
      });
    }));
});

describe("an application that allows other endpoints only", () => {
  test("gets no events", { timeout }, async () => {
    const app = await Application.start({ allowedEndpoints: ["https://other.example"] });
    const server = await Server.serve("--event-handler", app.url, "--event-handler-origin", "ws.example");
    try {
      await assert.rejects(Peer.open(server.url(HUB)), /Unexpected server response: 500/);
      assert.deepEqual(app.told, []);
    } finally {
      await server.stop();
      await app.stop();
    }
  });
});

describe("an application that allows this endpoint", () => {
  test("gets events", { timeout }, async () => {
    const app = await Application.start({ allowedEndpoints: ["https://other.example", "http://WS.example:8080"] });
    const server = await Server.serve("--event-handler", app.url, "--event-handler-origin", "ws.example");
    try {
      await withClient(server, "ada", () => app.hears("connected", "ada!"));
    } finally {
      await server.stop();
      await app.stop();
    }
  });
});

describe("the example of the documentation", () => {
  test("works as it says", { timeout }, async () => {
    const page = await readFile(new URL("../../../docs/webhooks.md", import.meta.url), "utf8");
    const [, program] = page.match(/```js\n([^]*?)```/);
    const port = await freePort();
    const cwd = new URL(".", import.meta.url);
    const handler = spawn("node", ["--input-type=module"], { cwd, stdio: ["pipe", "pipe", "inherit"] });
    handler.stdin.end(program.replace("3000", port));
    let output = "";
    handler.stdout.on("data", (text) => (output += text));
    const server = await Server.serve("--event-handler", `http://127.0.0.1:${port}/eventhandler`);
    try {
      const answers = () => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false);
      await eventually("the example listens", answers);
      await withClient(server, "ada", async (client, messages) => {
        await client.sendEvent("greet", "", "text");
        assert.equal(messages[0].data, "hello ada, for the 1. time");
      });
      await eventually("the example prints", () => output === "ada is here\nada is gone\n");
      await assert.rejects(Peer.open(server.url(`${HUB}?user=eve`)), /Unexpected server response: 403/);
    } finally {
      handler.kill();
      await server.stop();
    }
  });
});
