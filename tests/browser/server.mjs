// The server under test: the real binary, as a process.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

const READY_MS = 15_000;
const EXIT_MS = 20_000;
const POLL_MS = 50;
const KEPT_OUTPUT = 4_000;

export const repository = fileURLToPath(new URL("../../", import.meta.url));
const binary = process.env.TIELINE_BIN ?? `${repository}target/release/tieline`;

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export function requireBinary() {
  const advice = "build it with `cargo build --release -p tieline-server`, or name another in TIELINE_BIN";
  requireExecutable(binary, `no server at ${binary}: ${advice}`);
}

export function requireExecutable(path, message) {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(message);
  }
}

/** Free ports, all different, below the range from which the system gives some to others meanwhile. */
export async function freePorts(count) {
  const probes = [];
  while (probes.length < count) {
    const probe = createServer().listen(20_000 + Math.floor(12_000 * Math.random()), "127.0.0.1");
    if (await once(probe, "listening").then(() => true, () => false)) probes.push(probe);
  }
  const ports = probes.map((probe) => probe.address().port);
  probes.forEach((probe) => probe.close());
  await Promise.all(probes.map((probe) => once(probe, "close")));
  return ports;
}

/** The demo: two nodes in one process, a page on each. */
export class Server {
  #child;
  #output = "";

  constructor(ports) {
    this.nodes = ports.map((port) => `127.0.0.1:${port}`);
    this.urls = this.nodes.map((node) => `http://${node}`);
  }

  async start() {
    const [first, second] = this.nodes;
    const child = spawn(binary, ["demo", "--listen", first, "--second", second], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    child.once("error", (error) => this.#keep(String(error)));
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => this.#keep(data));
    await this.#ready();
  }

  /** Stops the process; returns how it exited. */
  async stop(signal) {
    const child = this.#child;
    if (!running.has(child)) return { code: child.exitCode, signal: child.signalCode };
    const ended = once(child, "exit", { signal: AbortSignal.timeout(EXIT_MS) });
    child.kill(signal);
    try {
      const [code, by] = await ended;
      return { code, signal: by };
    } catch {
      child.kill("SIGKILL");
      throw new Error(`the server did not end within ${EXIT_MS} ms of ${signal}\n${this.#output}`);
    }
  }

  async #ready() {
    const deadline = Date.now() + READY_MS;
    while (Date.now() < deadline) {
      assert.ok(running.has(this.#child), `the server ended at once\n${this.#output}`);
      const answers = this.urls.map((url) => fetch(`${url}/readyz`).catch(() => null));
      if ((await Promise.all(answers)).every((answer) => answer?.status === 200)) return;
      await pause(POLL_MS);
    }
    throw new Error(`/readyz did not answer 200 within ${READY_MS} ms\n${this.#output}`);
  }

  #keep(data) {
    this.#output = (this.#output + data).slice(-KEPT_OUTPUT);
  }
}
