// Fixtures of the tests with SDKs of Pusher Channels: nodes with an app, and the application that signs
// who its users are, with the real server library.

import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import Library from "pusher";
import Pusher from "pusher-js";
import { Registry, Server, eventually, freePort } from "./kit.mjs";

export const APP = { id: "1", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" };
export const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");

// pusher-js waits for 30 s for a WebSocket to close that the server has closed, which would keep the process alive.
const { setTimeout: startTimer } = globalThis;
globalThis.setTimeout = (callback, delay, ...rest) => {
  const timer = startTimer(callback, delay, ...rest);
  return delay === 30_000 ? timer.unref() : timer;
};

/** The seconds after which a node that was killed counts as dead. */
export const LEASE = 3;

const CONFIGURATION = `
[pusher]
activity_timeout = "30s"

[[pusher.app]]
id = "${APP.id}"
key = "${APP.key}"
secret = { env = "PUSHER_SECRET" }
client_events = true
`;

/** Nodes over Redis. */
export class Cluster {
  /** `app` are further lines of the app in the configuration. */
  static async start({ app = "", size = 2, env = {} } = {}) {
    const cluster = new Cluster();
    cluster.folder = await mkdtemp(path.join(tmpdir(), "tieline-"));
    const file = path.join(cluster.folder, "tieline.toml");
    await writeFile(file, CONFIGURATION + app);
    cluster.env = { TIELINE_CONFIG: file, PUSHER_SECRET: APP.secret, TIELINE_LEASE: `${LEASE}s`, ...env };
    cluster.registry = await Registry.redis();
    cluster.nodes = await Promise.all(Array.from({ length: size }, () => cluster.node()));
    return cluster;
  }

  node() {
    return Server.node(this.registry.url, { env: this.env });
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop("SIGKILL")));
    await this.registry.stop();
    await rm(this.folder, { recursive: true });
  }
}

/** The line of an app that posts webhooks to an application on this port. */
export function webhook(port) {
  return `[[pusher.app.webhooks]]\nurl = "http://127.0.0.1:${port}/hooks"\n`;
}

/** The server library, which talks to this node. */
export function backend(node, options = {}) {
  return new Library({
    appId: APP.id,
    key: APP.key,
    secret: APP.secret,
    host: "127.0.0.1",
    port: String(node.port),
    useTLS: false,
    encryptionMasterKeyBase64: MASTER_KEY,
    ...options,
  });
}

/** The programs of a section of docs/pusher.md, for this node instead of the one that the page has. */
export async function programs(heading, language, node) {
  const page = await readFile(new URL("../../../docs/pusher.md", import.meta.url), "utf8");
  const [section] = page.split(`\n${heading}\n`)[1].split(/\n#+ /);
  const blocks = section.split(`\`\`\`${language}\n`).slice(1);
  return blocks.map((block) => block.split("\n```")[0].replaceAll("8080", node.port).replaceAll("app-key", APP.key));
}

/** What the body of a request says, as a form; yields it and its text. */
async function bodyOf(request) {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  return { text, form: Object.fromEntries(new URLSearchParams(text)) };
}

/** The application: an empty page, signatures for the user that the client names, and a receiver of webhooks. */
export class Application {
  static async start(node, port) {
    const application = new Application();
    application.library = backend(node);
    application.hooks = [];
    application.server = http.createServer((request, response) => application.#answer(request, response));
    application.server.listen(port ?? (await freePort()), "127.0.0.1");
    await once(application.server, "listening");
    return application;
  }

  url(target) {
    return `http://127.0.0.1:${this.server.address().port}${target}`;
  }

  async #answer(request, response) {
    const headers = { "access-control-allow-origin": "*", "access-control-allow-headers": "*" };
    if (request.method === "OPTIONS") return response.writeHead(204, headers).end();
    if (request.method === "GET") return response.writeHead(200, { "content-type": "text/html" }).end();
    const { text: rawBody, form } = await bodyOf(request);
    if (request.url === "/hooks") {
      const webhook = this.library.webhook({ headers: request.headers, rawBody });
      if (!webhook.isValid()) return response.writeHead(401).end();
      this.hooks.push(...webhook.getEvents());
      return response.end();
    }
    const answer = this.#sign(request.url, form, request.headers.user);
    response.writeHead(answer ? 200 : 403, { ...headers, "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { error: "not for you" }));
  }

  #sign(target, { socket_id: socket, channel_name: channel }, user) {
    const info = { name: `${user} ž` };
    if (target === "/user-auth") {
      const friends = ["ada", "ben"].filter((name) => name !== user);
      return this.library.authenticateUser(socket, { id: user, user_info: info, watchlist: friends });
    }
    if (channel.endsWith("-forbidden")) return null;
    if (channel.endsWith("-forged")) return { auth: `${APP.key}:${"0".repeat(64)}` };
    const member = channel.startsWith("presence-") ? { user_id: user, user_info: info } : undefined;
    return this.library.authorizeChannel(socket, channel, member);
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

/** How a client finds a node, or a proxy, and the application. */
export function options(port, application, user) {
  const headers = { user };
  return {
    cluster: "",
    wsHost: "127.0.0.1",
    wsPort: port,
    forceTLS: false,
    enabledTransports: ["ws", "wss"],
    channelAuthorization: { endpoint: application.url("/auth"), headers, transport: "ajax" },
    userAuthentication: { endpoint: application.url("/user-auth"), headers, transport: "ajax" },
  };
}

function codes(...data) {
  return data.flatMap((each) => each?.code ?? []);
}

/** A client, with what it hears. */
export class Client {
  static async open(port, application, user = "ada") {
    const client = new Client(port, application, user);
    await client.reaches("connected");
    return client;
  }

  constructor(port, application, user) {
    this.pusher = new Pusher(APP.key, options(port, application, user));
    this.states = [];
    this.errors = [];
    this.heard = [];
    this.pusher.connection.bind("state_change", ({ current }) => this.states.push(current));
    // What the server said by a frame, and by a close.
    this.pusher.connection.bind("error", ({ data, error }) => this.errors.push(...codes(data, error?.data)));
    this.pusher.user.bind_global((event, data) => this.heard.push({ event, data }));
  }

  get id() {
    return this.pusher.connection.socket_id;
  }

  reaches(state) {
    return eventually(`a client is ${state}`, () => this.pusher.connection.state === state);
  }

  /** Subscribes, and waits for the answer. */
  async subscribe(name) {
    const channel = this.pusher.subscribe(name);
    channel.bind_global((event, data) => this.heard.push({ event, data }));
    await eventually(`${name} is subscribed`, () => channel.subscribed);
    return channel;
  }

  /** The data of the events of this name in its channels, once there are so many. */
  async events(name, count = 1) {
    const of = () => this.heard.filter(({ event }) => event === name).map(({ data }) => data);
    await eventually(`${count} × ${name}`, () => of().length >= count);
    return of();
  }

  close() {
    this.pusher.disconnect();
  }
}

/** A proxy of TCP in front of nodes, which sends newcomers to the first that is ready. */
export class Proxy {
  static async start(nodes) {
    const proxy = new Proxy();
    proxy.nodes = nodes;
    proxy.server = net.createServer((client) => proxy.#forward(client));
    proxy.server.listen(await freePort(), "127.0.0.1");
    await once(proxy.server, "listening");
    return proxy;
  }

  get port() {
    return this.server.address().port;
  }

  async #forward(client) {
    client.on("error", () => {});
    const ready = await Promise.all(this.nodes.map((node) => node.ready(node)));
    const node = this.nodes[ready.indexOf(true)];
    if (!node) return client.destroy();
    const server = net.connect(node.port, "127.0.0.1");
    server.on("error", () => client.destroy());
    server.on("close", () => client.destroy());
    client.on("close", () => server.destroy());
    client.pipe(server).pipe(client);
  }

  stop() {
    this.server.close();
  }
}
