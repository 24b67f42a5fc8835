// nginx in front of a node on a Unix socket, with the configuration of docs/proxies: the
// node knows its clients, and a node that was killed and started anew is reached again.
//
//   cargo build --release -p tieline-server
//   node --test tests/browser/proxies/unix.test.mjs

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { requireBinary } from "../server.mjs";
import { binary, Certificate, clientUrl, eventually, KEY, Process, Proxy } from "./processes.mjs";

const LIMIT = { timeout: 60_000 };
/** A client with an address of its own. */
const CLIENT = "127.0.0.5";

/** Asks for an upgrade with a token; returns the status, and the socket if it is open. */
function connect(proxy, user) {
  const { pathname, search } = new URL(clientUrl(proxy.endpoint, user));
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const to = { host: "127.0.0.1", port: proxy.port, path: pathname + search, localAddress: CLIENT };
  return new Promise((resolve, reject) => {
    const request = get({ ...to, ca: proxy.certificate.pem, headers, agent: false });
    request.on("upgrade", (response, socket) => resolve({ status: response.statusCode, socket }));
    request.on("response", (response) => {
      response.resume();
      resolve({ status: response.statusCode });
    });
    request.on("error", reject);
  });
}

test("a node on a Unix socket behind nginx knows its clients, and is found again", LIMIT, async (t) => {
  requireBinary();
  const folder = mkdtempSync(join(tmpdir(), "tieline-unix-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // Started by root, nginx connects as a user of its own.
  chmodSync(folder, 0o755);
  const path = join(folder, "clients.sock");
  const flags = ["--listen", `unix:${path}?mode=0666`, "--forwarded-from", "unix", "--admin-listen", "off"];
  const start = async () => {
    const log = ["--log-level", "info,tieline::connections=debug"];
    const node = new Process(binary, ["serve", ...flags, ...log], { TIELINE_KEY: KEY });
    t.after(() => node.stop("SIGKILL"));
    return node.ready(() => node.output.includes("listening"));
  };
  let node = await start();
  const certificate = await Certificate.make();
  t.after(() => certificate.remove());
  const proxy = await Proxy.toSocket(path, certificate);
  t.after(() => proxy.stop());

  const first = await connect(proxy, "ada");
  assert.equal(first.status, 101);
  const knows = () => /connection accepted.*user="?ada"?.*127\.0\.0\.5/u.test(node.output);
  await eventually("the node logs the client's address", knows);

  await node.stop("SIGKILL");
  assert.ok(existsSync(path), "nobody has removed it");
  node = await start();
  const second = await connect(proxy, "ada");
  assert.equal(second.status, 101);
  await eventually("the new node has it", knows);
  [first, second].forEach(({ socket }) => socket.destroy());
  assert.deepEqual(await node.stop(), { code: 0, signal: null });
  assert.ok(!existsSync(path));
});
