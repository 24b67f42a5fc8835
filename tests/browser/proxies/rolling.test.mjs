// A rolling restart of three nodes behind HAProxy, with clients of the package. 150 of them
// are there in `./test.sh proxies`, and 3,000 in `./test.sh --release` (TIELINE_ROLLING_CLIENTS).
//
//   TIELINE_ROLLING_CLIENTS=3000 node --test tests/browser/proxies/rolling.test.mjs

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:https";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireBinary } from "../server.mjs";
import { Certificate, Cluster, eventually, Proxy } from "./processes.mjs";

const CLIENTS = Number(process.env.TIELINE_ROLLING_CLIENTS ?? 150);
const PER_PROCESS = 750;
const PROBE_MS = 50;
const MOST_RECONNECTS = 2;
const MOST_UNAVAILABLE_MS = 1_000;

/** Clients, in as many processes as they need. */
class Fleet {
  #processes = [];

  constructor(endpoint, certificate, count) {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate.file };
    for (let left = count; left > 0; left -= PER_PROCESS) {
      const file = fileURLToPath(new URL("fleet.mjs", import.meta.url));
      this.#processes.push(fork(file, [endpoint, Math.min(left, PER_PROCESS)], { env }));
    }
  }

  async seen() {
    const reports = await Promise.all(
      this.#processes.map(async (child) => {
        child.send("report");
        return (await once(child, "message"))[0];
      }),
    );
    const sum = (what) => reports.reduce((total, report) => total + report[what], 0);
    const most = (what) => Math.max(...reports.map((report) => report[what]));
    return {
      connected: sum("connected"),
      disconnected: sum("disconnected"),
      mostReconnects: most("mostConnections") - 1,
      mostFailures: most("mostFailures"),
    };
  }

  stop() {
    this.#processes.forEach((child) => child.kill("SIGKILL"));
  }
}

/** Asks through the proxy all the time, and keeps the longest time in which the answer was 503, or none. */
class Probe {
  longest = 0;
  #stopped = false;

  constructor(endpoint, ca) {
    this.done = this.#run(endpoint, new Agent({ ca, keepAlive: false }));
  }

  async #run(endpoint, agent) {
    let since = null;
    while (!this.#stopped) {
      const begin = performance.now();
      const status = await new Promise((resolve) => {
        const request = get(`${endpoint}/healthz`, { agent }, (response) => {
          response.resume().once("end", () => resolve(response.statusCode));
        });
        request.once("error", () => resolve(0));
      });
      since = status === 200 ? null : (since ?? begin);
      if (since !== null) this.longest = Math.max(this.longest, performance.now() - since);
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
  }

  stop() {
    this.#stopped = true;
    return this.done;
  }
}

test(`a rolling restart of three nodes with ${CLIENTS} clients`, { timeout: 420_000 }, async (t) => {
  requireBinary();
  const certificate = await Certificate.make();
  t.after(() => certificate.remove());
  // As many handshakes a second as two cores make beside the clients.
  const cluster = await Cluster.start(3, `${Math.ceil(CLIENTS / PER_PROCESS)}s`);
  t.after(() => cluster.stop());
  const proxy = await Proxy.start("haproxy", cluster, certificate);
  t.after(() => proxy.stop());
  const fleet = new Fleet(proxy.endpoint, certificate, CLIENTS);
  t.after(() => fleet.stop());
  const connected = async () => (await fleet.seen()).connected === CLIENTS;
  const start = await eventually("all are connected", connected, 120_000);

  const probe = new Probe(proxy.endpoint, certificate.pem);
  const times = [];
  const left = new Set(cluster.nodes.keys());
  while (left.size > 0) {
    // Next is the node with the fewest clients: they go where there are fewer still, to nodes that were restarted.
    const counts = await cluster.registered();
    const next = [...left].sort((a, b) => counts[a] - counts[b])[0];
    left.delete(next);
    const begin = performance.now();
    assert.deepEqual(await cluster.nodes[next].restart(), { code: 0, signal: null });
    await proxy.serves(next);
    await eventually("all are connected again", connected, 60_000);
    times.push(Math.round(performance.now() - begin));
  }
  await probe.stop();

  const seen = await fleet.seen();
  t.diagnostic(
    `connected after ${start.took} ms; restarts took ${times.join(", ")} ms; disconnected ${seen.disconnected} times, ` +
      `one client at most ${seen.mostReconnects} times; at most ${seen.mostFailures} failed attempts in a row; ` +
      `unavailable for ${Math.round(probe.longest)} ms at most`,
  );
  assert.ok(seen.mostReconnects <= MOST_RECONNECTS, `a client reconnected ${seen.mostReconnects} times`);
  assert.ok(probe.longest <= MOST_UNAVAILABLE_MS, `unavailable for ${probe.longest} ms`);
  // A client tries again after a second at the earliest: a second failure would be one too long.
  assert.ok(seen.mostFailures <= 1, `${seen.mostFailures} attempts in a row failed`);
});
