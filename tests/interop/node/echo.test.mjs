// Laravel Echo with both of its broadcasters, on one of two nodes; the server library on the other.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import Echo from "laravel-echo";
import Pusher from "pusher-js";
import { APP, Application, Cluster, backend, options } from "./apps.mjs";
import { DEADLINE, eventually } from "./kit.mjs";

const timeout = 4 * DEADLINE;

/** Echo, with what it hears. */
class Client {
  static async open(broadcaster, port, application, user) {
    const client = new Client();
    // Echo names the application's endpoint in its own way.
    const { channelAuthorization, userAuthentication, ...rest } = options(port, application, user);
    const auth = { authEndpoint: application.url("/broadcasting/auth"), auth: { headers: channelAuthorization.headers } };
    client.echo = new Echo({ broadcaster, key: APP.key, Pusher, ...rest, ...auth, userAuthentication });
    client.heard = [];
    await eventually(`${user} has a socket id`, () => client.echo.socketId());
    return client;
  }

  hear(name) {
    return (data) => this.heard.push([name, data]);
  }

  /** Waits until these were heard, in any order. */
  async hears(...expected) {
    const sorted = (list) => list.map((each) => JSON.stringify(each)).sort();
    await eventually(`${expected.length} events`, () => this.heard.length >= expected.length);
    assert.deepEqual(sorted(this.heard), sorted(expected));
    this.heard = [];
  }
}

describe("Laravel Echo on two nodes", { concurrency: true }, () => {
  let cluster, here, there, application, service;
  before(async () => {
    cluster = await Cluster.start();
    [here, there] = cluster.nodes;
    service = backend(here);
    application = await Application.start(here);
  });
  after(async () => {
    await application?.stop();
    await cluster?.stop();
  });

  for (const broadcaster of ["reverb", "pusher"]) {
    test(`the broadcaster "${broadcaster}"`, { timeout }, async () => {
      const room = `room-${broadcaster}`;
      const open = (user) => Client.open(broadcaster, there.port, application, user);
      const [ada, ben] = [await open("ada"), await open("ben")];
      try {
        await channels(ada, ben, room);
        await members(ada, ben, room);
        await refused(ada);
      } finally {
        for (const { echo } of [ada, ben]) echo.disconnect();
      }
    });
  }

  /** As Laravel publishes: the name of a class, or one that the class chose. */
  async function channels(ada, ben, room) {
    let ready = 0;
    const subscribed = (channel) => channel.subscribed(() => (ready += 1));
    for (const client of [ada, ben]) {
      const { echo } = client;
      subscribed(echo.channel(room).listen("Shipped", client.hear("public")).listen(".custom", client.hear("custom")));
      subscribed(echo.private(room).listenForWhisper("typing", client.hear("whisper")).notification(client.hear("notified")));
      subscribed(echo.encryptedPrivate(room).listen(".secret", client.hear("secret")));
    }
    await eventually("all are subscribed", () => ready === 6);
    await service.trigger(room, "App\\Events\\Shipped", { order: 1 });
    await service.trigger(room, "custom", { order: 2 }, { socket_id: ada.echo.socketId() });
    const kind = { type: "Invoice" };
    await service.trigger(`private-${room}`, "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated", kind);
    await service.trigger(`private-encrypted-${room}`, "secret", { text: "ž" });
    ada.echo.private(room).whisper("typing", { by: "ada" });
    const both = [["public", { order: 1 }], ["notified", kind], ["secret", { text: "ž" }]];
    await ben.hears(...both, ["custom", { order: 2 }], ["whisper", { by: "ada" }]);
    await ada.hears(...both);
  }

  async function members(ada, ben, room) {
    const join = (client) =>
      client.echo.join(room).here(client.hear("here")).joining(client.hear("joining")).leaving(client.hear("leaving"));
    join(ada);
    await ada.hears(["here", [{ name: "ada ž" }]]);
    join(ben);
    await ben.hears(["here", [{ name: "ada ž" }, { name: "ben ž" }]]);
    await ada.hears(["joining", { name: "ben ž" }]);
    ben.echo.leave(room);
    await ada.hears(["leaving", { name: "ben ž" }]);
  }

  async function refused(ada) {
    ada.echo.private("forged").error(({ status }) => ada.heard.push(["refused", status]));
    await ada.hears(["refused", 401]);
  }
});
