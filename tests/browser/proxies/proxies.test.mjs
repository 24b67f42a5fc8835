// The client of the package behind HAProxy and nginx, with the configurations of
// docs/proxies: in a page over TLS, while a node drains, and while nginx reloads.
//
//   cargo build --release -p tieline-server
//   npm ci --prefix tests/browser
//   node --test tests/browser/proxies/

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { requireBinary } from "../server.mjs";
import { launch } from "../visitor.mjs";
import { Certificate, clientUrl, Cluster, eventually, Proxy } from "./processes.mjs";

const LIMIT = { timeout: 90_000 };
const local = (name) => fileURLToPath(new URL(name, import.meta.url));

/** A third of the lease, which is 10 s by default: how often a node renews it. */
const BEAT_MS = 10_000 / 3;
const CLIENTS = 500;

/** A page with a client that has joined a group. */
class Member {
  static async open(browser, bundle, endpoint, user) {
    const member = new Member();
    member.context = await browser.newContext();
    member.page = await member.context.newPage();
    // A page of the proxy, whatever it shows: Chromium refuses connections to this machine from elsewhere.
    await member.page.goto(`${endpoint}/healthz`);
    await member.page.addScriptTag({ content: bundle });
    await member.page.evaluate(async (url) => {
      window.seen = { connections: 0, messages: [] };
      window.client = new window.tieline.WebPubSubClient(url);
      window.client.on("connected", () => (window.seen.connections += 1));
      window.client.on("group-message", ({ message }) => window.seen.messages.push(message.data));
      await window.client.start();
      await window.client.joinGroup("lobby");
    }, clientUrl(endpoint, user));
    return member;
  }

  send(text) {
    return this.page.evaluate((data) => window.client.sendToGroup("lobby", data, "text", { noEcho: true }), text);
  }

  got(text) {
    return this.page.waitForFunction((data) => window.seen.messages.includes(data), text, { timeout: 15_000 });
  }

  connections() {
    return this.page.evaluate(() => window.seen.connections);
  }
}

let browser, bundle, certificate;

before(async () => {
  requireBinary();
  const options = { bundle: true, write: false, format: "iife", globalName: "tieline", platform: "browser" };
  const built = await build({ entryPoints: [local("page.mjs")], define: { global: "globalThis" }, ...options });
  bundle = built.outputFiles[0].text;
  certificate = await Certificate.make();
  browser = await launch([`--ignore-certificate-errors-spki-list=${certificate.fingerprint}`]);
}, LIMIT);

after(async () => {
  await browser?.close();
  certificate?.remove();
});

for (const kind of ["haproxy", "nginx"]) {
  describe(`behind ${kind}`, () => {
    let cluster, proxy;
    const members = [];

    before(async () => {
      cluster = await Cluster.start();
      proxy = await Proxy.start(kind, cluster, certificate);
    }, LIMIT);
    after(async () => {
      await Promise.all(members.map((member) => member.context.close()));
      await proxy?.stop();
      await cluster?.stop();
    });

    test("pages connect over TLS, and a message crosses the nodes", LIMIT, async () => {
      for (const user of ["ada", "grace"]) members.push(await Member.open(browser, bundle, proxy.endpoint, user));
      const [ada, grace] = members;
      // The proxy gives the second client to the node that has fewer.
      await eventually("one on each node", async () => String(await cluster.registered()) === "1,1");
      await ada.send("from ada");
      await grace.got("from ada");
      await grace.send("from grace");
      await ada.got("from grace");
    });

    test("when a node drains, its client comes back on the other", LIMIT, async () => {
      const [ada, grace] = members;
      const [first, second] = cluster.nodes;
      assert.deepEqual(await first.process.stop(), { code: 0, signal: null });
      await eventually("both on the second node", async () => (await cluster.registered())[1] === 2);
      const sent = await second.rest("POST", "/:send", "to all");
      assert.equal(sent.headers.get("tieline-delivered"), "2");
      // The page may hear of its new connection after the registry.
      const connections = async () => (await ada.connections()) + (await grace.connections());
      await eventually("one of them connected again, once", async () => (await connections()) === 3);
    });
  });
}

test(`after a reload of nginx, ${CLIENTS} clients are back within 10 s`, LIMIT, async (t) => {
  const cluster = await Cluster.start();
  t.after(() => cluster.stop());
  const proxy = await Proxy.start("nginx", cluster, certificate);
  t.after(() => proxy.stop());
  const fleet = fork(local("fleet.mjs"), [proxy.endpoint, CLIENTS], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate.file },
  });
  t.after(() => fleet.kill("SIGKILL"));
  const seen = async () => {
    fleet.send("report");
    return (await once(fleet, "message"))[0];
  };
  const connected = async () => (await seen()).connected === CLIENTS;
  const registered = async () => (await cluster.registered()).reduce((sum, n) => sum + n) === CLIENTS;
  const start = await eventually("all are connected", connected, 60_000);
  await eventually("the registry has them", registered, 2 * BEAT_MS);

  await proxy.reload();
  const reload = performance.now();
  const closed = await eventually("all were disconnected", async () => (await seen()).disconnected >= CLIENTS);
  const left = 10_000 - (performance.now() - reload);
  const back = await eventually("all are back", connected, left);
  const equal = await eventually("the registry equals the sockets", registered, 2 * BEAT_MS);
  t.diagnostic(`connected after ${start.took} ms; after the reload: all disconnected ${closed.took} ms, back ${back.took} ms, registry ${equal.took} ms later`);

  const before = (await seen()).messages;
  const sent = await cluster.nodes[0].rest("POST", "/:send", "to all");
  assert.deepEqual(["delivered", "refused", "missed"].map((what) => sent.headers.get(`tieline-${what}`)), [`${CLIENTS}`, "0", "0"]);
  await eventually("each got it once", async () => (await seen()).messages === before + CLIENTS);
});
