// The PROXY protocol of HAProxy, versions 1 and 2: a node knows the client's address.
//
//   cargo build --release -p tieline-server
//   node --test tests/browser/proxies/announced.test.mjs

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { freePorts, requireBinary } from "../server.mjs";
import { binary, eventually, KEY, Process } from "./processes.mjs";

const LIMIT = { timeout: 60_000 };
/** A client with an address of its own, which is neither the proxy's nor the node's. */
const CLIENT = "127.0.0.5";

/** Asks for an upgrade without a token; returns the status and the port that the client had. */
function ask(port) {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, path: "/client/hubs/chat", localAddress: CLIENT, headers, agent: false });
    request.on("response", (response) => {
      resolve({ status: response.statusCode, from: response.socket.localPort });
      response.resume();
    });
    request.on("error", reject);
  });
}

function configuration(port, node, send) {
  return `
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen clients
    bind 127.0.0.1:${port}
    option httpchk GET /readyz
    server node1 ${node} check check-send-proxy inter 200ms fall 1 rise 1 ${send}
`;
}

for (const send of ["send-proxy", "send-proxy-v2"]) {
  test(`a node behind HAProxy with ${send} knows its clients`, LIMIT, async (t) => {
    requireBinary();
    const [port, nodePort] = await freePorts(2);
    const address = `127.0.0.1:${nodePort}`;
    const flags = ["--listen", address, "--proxy-protocol-from", "127.0.0.1", "--log-level", "debug"];
    const node = new Process(binary, ["serve", ...flags], { TIELINE_KEY: KEY });
    t.after(() => node.stop("SIGKILL"));
    await node.ready(() => node.output.includes("listening"));
    const folder = mkdtempSync(join(tmpdir(), "tieline-haproxy-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "haproxy.cfg");
    writeFileSync(file, configuration(port, address, send));
    const proxy = new Process("/usr/sbin/haproxy", ["-db", "-f", file]);
    t.after(() => proxy.stop());

    // Until the check has succeeded, HAProxy closes connections.
    const { value } = await eventually("the node answers", () => ask(port).catch(() => null));
    assert.equal(value.status, 401);
    await eventually("the node logs the client", () => node.output.includes(`${CLIENT}:${value.from}`));
  });
}
