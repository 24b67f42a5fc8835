// Processes on free ports: Redis, two nodes of a cluster, and a proxy with the
// configuration of docs/proxies. Only those that were started here are ended.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, createHmac, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { freePorts, repository } from "../server.mjs";

const execute = promisify(execFile);
const READY_MS = 15_000;
const POLL_MS = 50;
const KEPT_OUTPUT = 4_000;
export const binary = process.env.TIELINE_BIN ?? `${repository}target/release/tieline`;
export const KEY = "an access key of thirty-two bytes";

const running = new Set();
const folders = new Set();
process.on("exit", () => {
  running.forEach((child) => child.kill("SIGKILL"));
  folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
});

function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "tieline-proxy-"));
  folders.add(folder);
  return folder;
}

function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Polls until `condition` yields a truthy value; returns it, and how long that took. */
export async function eventually(what, condition, limit = READY_MS) {
  const begin = performance.now();
  for (;;) {
    const value = await condition();
    const took = Math.round(performance.now() - begin);
    if (value) return { value, took };
    assert.ok(took < limit, `${what}: not so after ${limit} ms`);
    await pause(POLL_MS);
  }
}

/** A child process with the end of its output. */
export class Process {
  output = "";

  constructor(program, args, env = {}) {
    this.name = program.split("/").at(-1);
    this.child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    running.add(this.child);
    this.exited = new Promise((resolve) => {
      this.child.once("exit", (code, signal) => resolve({ code, signal }));
      this.child.once("error", (error) => resolve({ error }));
    }).finally(() => running.delete(this.child));
    const keep = (data) => (this.output = (this.output + data).slice(-KEPT_OUTPUT));
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", keep);
  }

  /** Waits until `condition` holds, or the process ends. */
  async ready(condition) {
    try {
      await eventually(`${this.name} is ready`, () => {
        assert.ok(running.has(this.child), `${this.name} ended`);
        return condition();
      });
    } catch (error) {
      throw new Error(`${error.message}\n${this.output}`);
    }
    return this;
  }

  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    await Promise.race([this.exited, pause(READY_MS, undefined, { ref: false })]);
    this.child.kill("SIGKILL");
    return this.exited;
  }
}

const listens = (port) => async () => {
  const socket = connect(port, "127.0.0.1");
  const failed = once(socket, "error").then(() => false);
  const connected = await Promise.race([once(socket, "connect").then(() => true, () => false), failed]);
  socket.destroy();
  return connected;
};

function sign(claims) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 600;
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ exp, ...claims })}`;
  return `${text}.${createHmac("sha256", KEY).update(text).digest("base64url")}`;
}

/** The URL of a client with its token, as a backend hands it out. */
export function clientUrl(endpoint, user) {
  const role = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
  const token = sign({ aud: `${endpoint}/client/hubs/chat`, sub: user, role });
  return `${endpoint.replace(/^http/u, "ws")}/client/hubs/chat?access_token=${token}`;
}

/** A node of the cluster. */
class Node {
  constructor(ports, registry, drainWindow, environment) {
    [this.address, this.peers, this.admin] = ports.map((port) => `127.0.0.1:${port}`);
    const listen = ["--listen", this.address, "--peers-listen", this.peers, "--admin-listen", this.admin];
    const drain = ["--drain-delay", "3s", "--drain-window", drainWindow];
    this.args = ["serve", ...listen, "--registry", registry, ...drain];
    this.environment = { TIELINE_KEY: KEY, ...environment };
    this.start();
  }

  start() {
    this.process = new Process(binary, this.args, this.environment);
  }

  /** Drains it, and starts it anew. Returns how the old process ended. */
  async restart() {
    const ended = await this.process.stop();
    this.start();
    await this.process.ready(() => this.isReady());
    return ended;
  }

  async isReady() {
    const answer = await fetch(`http://${this.address}/readyz`).catch(() => null);
    return answer?.status === 200;
  }

  /** Asks the REST API. */
  async rest(method, path, body) {
    const url = `http://${this.address}/api/hubs/chat${path}`;
    const headers = { authorization: `Bearer ${sign({ aud: url })}`, "content-type": "text/plain" };
    return fetch(url, { method, headers, body });
  }
}

/** Nodes over Redis. */
export class Cluster {
  static async start(size = 2, drainWindow = "1s", environment = {}) {
    const [redis, ...ports] = await freePorts(1 + 3 * size);
    const cluster = new Cluster();
    cluster.redis = redis;
    const args = ["--port", String(redis), "--bind", "127.0.0.1", "--save", "", "--dir", tmpdir()];
    cluster.registry = await new Process("redis-server", args).ready(listens(redis));
    const url = `redis://127.0.0.1:${redis}`;
    const portsOf = (n) => ports.slice(3 * n, 3 * n + 3);
    cluster.nodes = Array.from({ length: size }, (_, n) => new Node(portsOf(n), url, drainWindow, environment));
    await Promise.all(cluster.nodes.map((node) => node.process.ready(() => node.isReady())));
    return cluster;
  }

  async #ask(...command) {
    const { stdout } = await execute("redis-cli", ["-h", "127.0.0.1", "-p", String(this.redis), ...command]);
    return Number(stdout);
  }

  /** The connections that the registry has for each node; each has an entry of its own besides. */
  registered() {
    return Promise.all(this.nodes.map(async (node) => Math.max(0, (await this.#ask("scard", `{tieline}:node:${node.peers}`)) - 1)));
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.process.stop("SIGKILL")));
    await this.registry.stop("SIGKILL");
  }
}

/** A certificate for this machine, made as docs/tls.md says. */
export class Certificate {
  static async make() {
    const certificate = new Certificate();
    certificate.folder = temporaryFolder();
    [certificate.file, certificate.key] = ["cert.pem", "key.pem"].map((name) => join(certificate.folder, name));
    const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost";
    const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const files = ["-keyout", certificate.key, "-out", certificate.file];
    await execute("openssl", [...request.split(" "), ...names, ...files]);
    return certificate;
  }

  /** What other clients need to trust it. */
  get pem() {
    return readFileSync(this.file);
  }

  /** What a browser needs to trust it, and no other. */
  get fingerprint() {
    const { publicKey } = new X509Certificate(readFileSync(this.file));
    return createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
  }

  remove() {
    remove(this.folder);
  }
}

/** Replaces what an administrator would edit; it must be there exactly once. */
function edited(text, edits) {
  for (const [from, to] of edits) {
    assert.equal(text.split(from).length, 2, `${JSON.stringify(from)} is there once`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** A proxy with TLS in front of a cluster. */
export class Proxy {
  static async start(kind, cluster, certificate) {
    const nodes = cluster.nodes.map((node, n) => [`10.0.0.${n + 1}:8080`, node.address]);
    const configure = (proxy) => (kind === "nginx" ? proxy.#nginx("nginx.conf", nodes) : proxy.#haproxy(nodes));
    return Proxy.#start(kind, certificate, configure);
  }

  /** nginx in front of a node that listens on this Unix socket. */
  static async toSocket(path, certificate) {
    const node = ["unix:/run/tieline/clients.sock", `unix:${path}`];
    return Proxy.#start("nginx", certificate, (proxy) => proxy.#nginx("nginx-unix.conf", [node]));
  }

  static async #start(kind, certificate, configure) {
    const proxy = new Proxy();
    Object.assign(proxy, { certificate, folder: temporaryFolder() });
    [proxy.port] = await freePorts(1);
    proxy.endpoint = `https://127.0.0.1:${proxy.port}`;
    proxy.args = configure(proxy);
    proxy.program = `/usr/sbin/${kind}`;
    proxy.process = await new Process(proxy.program, proxy.args).ready(listens(proxy.port));
    return proxy;
  }

  #nginx(configuration, nodes) {
    // Others than the administrator may not write to the folders that the package made.
    const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const temporary = kinds.map((what) => `    ${what}_temp_path ${this.folder}/${what};\n`).join("");
    const text = edited(readFileSync(`${repository}docs/proxies/${configuration}`, "utf8"), [
      ...nodes,
      ["http {\n", `http {\n${temporary}`],
      ["worker_processes auto;", `worker_processes 2;\npid ${this.folder}/pid;`],
      ["listen 443 ssl;", `listen 127.0.0.1:${this.port} ssl;`],
      ["/etc/tieline/cert.pem", this.certificate.file],
      ["/etc/tieline/key.pem", this.certificate.key],
    ]);
    const file = join(this.folder, "nginx.conf");
    writeFileSync(file, text);
    return ["-p", this.folder, "-e", "stderr", "-c", file, "-g", "daemon off;"];
  }

  #haproxy(nodes) {
    const both = join(this.folder, "cert-and-key.pem");
    const { file: certificate, key } = this.certificate;
    writeFileSync(both, readFileSync(certificate, "utf8") + readFileSync(key, "utf8"), { mode: 0o600 });
    const text = edited(readFileSync(`${repository}docs/proxies/haproxy.cfg`, "utf8"), [
      ...nodes.slice(0, 2),
      ["bind :443", `bind 127.0.0.1:${this.port}`],
      ["/etc/tieline/cert-and-key.pem", both],
    ]);
    const more = nodes.slice(2).map(([, address], n) => `    server node${n + 3} ${address}\n`);
    const file = join(this.folder, "haproxy.cfg");
    this.control = join(this.folder, "control");
    writeFileSync(file, `global\n    stats socket ${this.control}\n${text}${more.join("")}`);
    return ["-db", "-f", file];
  }

  /** Waits until HAProxy sends clients to this node of the cluster. */
  async serves(n) {
    const isUp = async () => {
      const socket = connect(this.control).setEncoding("utf8");
      socket.end("show stat\n");
      let table = "";
      for await (const part of socket) table += part;
      const row = table.split("\n").find((line) => line.startsWith(`tieline,node${n + 1},`));
      return row?.split(",")[17] === "UP";
    };
    await eventually(`HAProxy serves node ${n + 1}`, isUp);
  }

  /** `nginx -s reload`. */
  async reload() {
    await execute(this.program, [...this.args, "-s", "reload"]);
  }

  async stop() {
    await this.process.stop("SIGTERM");
    remove(this.folder);
  }
}
