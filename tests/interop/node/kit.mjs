// Shared fixtures: a server of the release build on a free port, a WebSocket client
// that yields message by message, and deadlines.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
const BUILD = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target", "release");

/** The maximum time of a single wait, in milliseconds. */
export const DEADLINE = 15_000;

export const MESSAGE_LIMIT = 1024 * 1024;

/** Settles like `promise`, or fails at the deadline with a description. */
export async function within(promise, what, deadline = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${deadline} ms`)), deadline);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls until `condition` returns a truthy value. */
export async function eventually(what, condition) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not so after ${DEADLINE} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function canListen(port) {
  const probe = net.createServer();
  try {
    probe.listen(port, "127.0.0.1");
    await once(probe, "listening");
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}

// Below the ephemeral ports of the system, so that a server can use its port again
// after a restart.
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if (await canListen(port)) return port;
  }
}

// Kills the servers even if a test fails.
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** A process under test: started and ready. The caller stops it. */
export class Server {
  static async yardstick(...args) {
    const program = path.join("examples", "yardstick");
    return new Server(program, args, await freePort(), accepts).start();
  }

  static async tieline(command, port) {
    // The demo's second node; the tests use the first.
    const args = command === "demo" ? [command, "--second", "127.0.0.1:0"] : [command];
    return new Server("tieline", args, port ?? (await freePort()), isReady).start();
  }

  /** `tieline serve` with these flags. */
  static async serve(...flags) {
    return Server.serveWith({}, ...flags);
  }

  /** The same with environment variables. */
  static async serveWith(env, ...flags) {
    return new Server("tieline", ["serve", ...flags], await freePort(), isReady, env).start();
  }

  /** A node of a cluster: `tieline serve`, or the yardstick if `yardstick` is set. */
  static async node(registry, { yardstick = false, peers, env } = {}) {
    const program = yardstick ? path.join("examples", "yardstick") : "tieline";
    const args = yardstick ? [] : ["serve"];
    args.push("--registry", registry, "--peers-listen", `127.0.0.1:${peers ?? (await freePort())}`);
    return new Server(program, args, await freePort(), yardstick ? accepts : isReady, env).start();
  }

  static async example(program) {
    const port = await freePort();
    const example = new Server(program, [], port, accepts);
    example.args = [`127.0.0.1:${port}`];
    return example.start();
  }

  constructor(program, args, port, ready, env = {}) {
    this.port = port;
    this.program = path.join(BUILD, program);
    this.args = [...args, "--listen", `127.0.0.1:${port}`];
    this.ready = ready;
    this.env = env;
    this.output = "";
  }

  url(target, scheme = "ws") {
    return `${scheme}://127.0.0.1:${this.port}${target}`;
  }

  async start() {
    this.process = spawn(this.program, this.args, {
      stdio: ["ignore", "pipe", "pipe"],
      // Seconds over which `tieline serve` spreads its closes: 10 by default.
      env: { ...process.env, TIELINE_DRAIN_WINDOW: "1", ...this.env },
    });
    running.add(this.process);
    this.exited = new Promise((resolve) => {
      this.process.once("error", (error) => resolve({ error: error.message }));
      this.process.once("exit", (code, signal) => resolve({ code, signal }));
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on("data", (text) => (this.output = (this.output + text).slice(-10_000)));
    }
    let ended;
    this.exited.then((how) => (ended = how));
    try {
      await eventually(`${this.program} is ready`, () => {
        if (ended) throw new Error(`${this.program} ended early: ${JSON.stringify(ended)}\n${this.output}`);
        return this.ready(this);
      });
    } catch (error) {
      this.process.kill("SIGKILL");
      throw error;
    }
    return this;
  }

  terminate(signal = "SIGTERM") {
    this.process.kill(signal);
  }

  /** Shuts the process down, or kills it; yields how it exited. */
  async stop(signal) {
    this.terminate(signal);
    try {
      return await within(this.exited, `${this.program} drains and exits`, 2 * DEADLINE);
    } finally {
      this.process.kill("SIGKILL");
    }
  }
}

/** An empty registry on a free port, from the Debian package; end it with `stop()`. */
export class Registry {
  static async redis() {
    const port = await freePort();
    const args = ["--port", port, "--save", "", "--appendonly", "no", "--dir", tmpdir()];
    return new Registry("redis-server", args, port, `redis://127.0.0.1:${port}`).start();
  }

  static async etcd() {
    const [port, peers, folder] = [await freePort(), await freePort(), await mkdtemp(path.join(tmpdir(), "etcd-"))];
    const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peers}`];
    const args = ["--data-dir", folder, "--listen-client-urls", client, "--advertise-client-urls", client];
    args.push("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`);
    return new Registry("etcd", args, port, `etcd://127.0.0.1:${port}`, folder).start();
  }

  constructor(program, args, port, url, folder) {
    Object.assign(this, { program, args, port, url, folder });
  }

  async start() {
    this.process = spawn(this.program, this.args.map(String), { stdio: "ignore" });
    running.add(this.process);
    this.exited = once(this.process, "exit");
    await eventually(`${this.program} listens`, () => accepts(this));
    return this;
  }

  async stop() {
    this.process.kill("SIGKILL");
    await within(this.exited, `${this.program} ends`);
    if (this.folder) await rm(this.folder, { recursive: true });
  }
}

async function accepts(server) {
  const socket = net.connect(server.port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function isReady(server) {
  try {
    return (await fetch(server.url("/readyz", "http"))).status === 200;
  } catch {
    return false;
  }
}

/** An open WebSocket that queues its messages. */
export class Peer {
  static async open(url, options = {}) {
    const { protocols = [], ...rest } = options;
    const peer = new Peer(new WebSocket(url, protocols, { perMessageDeflate: false, ...rest }));
    await within(once(peer.socket, "open"), `open ${url}`);
    return peer;
  }

  constructor(socket) {
    this.socket = socket;
    this.waiting = [];
    this.asked = [];
    socket.on("message", (data, binary) => {
      const message = { data, binary };
      const ask = this.asked.shift();
      if (ask) ask(message);
      else this.waiting.push(message);
    });
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    // A close follows every error, and the tests check that.
    socket.on("error", () => {});
  }

  send(data, options) {
    this.socket.send(data, options);
  }

  async message() {
    const next = this.waiting.length
      ? Promise.resolve(this.waiting.shift())
      : new Promise((resolve) => this.asked.push(resolve));
    return within(next, "a message");
  }

  /** The next message, which must be text. */
  async text() {
    const { data, binary } = await this.message();
    if (binary) throw new Error(`binary, where text was due: ${data.subarray(0, 80).toString("hex")}`);
    return data.toString();
  }

  async json() {
    return JSON.parse(await this.text());
  }

  /** The close that the server sent, or answered. */
  async end() {
    return within(this.closed, "the close");
  }

  async close(code = 1000, reason = "") {
    this.socket.close(code, reason);
    return this.end();
  }
}

/** The HTTP status of a refused upgrade. */
export async function refusal(url, options = {}) {
  const socket = new WebSocket(url, { perMessageDeflate: false, ...options });
  socket.on("error", () => {});
  const answer = Promise.race([
    once(socket, "unexpected-response").then(([, response]) => response),
    once(socket, "open").then(() => ({ statusCode: 101 })),
  ]);
  try {
    const { statusCode, headers } = await within(answer, `an answer from ${url}`);
    return { status: statusCode, headers };
  } finally {
    socket.terminate();
  }
}
