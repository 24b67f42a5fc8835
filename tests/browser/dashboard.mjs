// The dashboard of two nodes over Redis, its operators, and clients to look at.

import assert from "node:assert/strict";
import { openContext } from "./visitor.mjs";
import { clientUrl, Cluster } from "./proxies/processes.mjs";

export const TOKEN = "a-token-for-operators";

/** Starts the nodes. `environment` is added to theirs. */
export function startCluster(environment = {}, size = 2) {
  return Cluster.start(size, "0s", environment);
}

/** A person at the dashboard of a node. */
export class Operator {
  #complaints = [];

  static async open(browser, node, { view = "", token = null, ...options } = {}) {
    const operator = new Operator();
    operator.context = await openContext(browser, options);
    operator.page = await operator.context.newPage();
    operator.page.on("pageerror", (error) => operator.#complaints.push(String(error)));
    operator.page.on("console", (message) => operator.#heard(message));
    operator.page.on("request", (request) => {
      if (new URL(request.url()).host !== node.admin) operator.#complaints.push(`asked elsewhere: ${request.url()}`);
    });
    await operator.page.goto(`http://${node.admin}/${view}`);
    if (token) await operator.enter(token);
    return operator;
  }

  // The browser itself logs each answer that is an error, and each failed attempt to connect.
  #heard(message) {
    const expected = /^(?:WebSocket connection to|Failed to load resource)/u.test(message.text());
    if (message.type() === "error" && !expected) this.#complaints.push(message.text());
  }

  assertNoErrors() {
    assert.deepEqual(this.#complaints, []);
  }

  async enter(token) {
    await this.page.getByLabel("Token of the admin port").fill(token);
    await this.page.getByRole("button", { name: "Continue" }).click();
  }

  status(word) {
    return this.page.locator("#status", { hasText: new RegExp(`^${word}$`, "u") }).waitFor();
  }

  choose(view) {
    return this.page.getByRole("link", { name: view, exact: true }).click();
  }

  row(view, text) {
    return this.page.locator(`#${view} tbody tr`, { hasText: text });
  }

  async search(field, text) {
    await this.page.getByRole("search").getByLabel(field, { exact: true }).fill(text);
    await this.page.getByRole("button", { name: "Search" }).click();
  }

  fact(label, text) {
    const label_ = this.page.locator("dt", { hasText: new RegExp(`^${label}$`, "u") });
    return this.page.locator("#facts > div", { has: label_ }).locator("dd", { hasText: text });
  }

  /** An event of the client that is followed, of this kind and with this text. */
  event(kind, text) {
    const badge = this.page.locator(".badge", { hasText: new RegExp(`^${kind}$`, "u") });
    return this.page.locator("#follow-events li", { has: badge }).filter({ hasText: text });
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  async assertFits() {
    const { width, shown } = await this.page.evaluate(() => ({
      width: document.documentElement.scrollWidth,
      shown: innerWidth,
    }));
    assert.ok(width <= shown, `nothing is wider than the screen of ${shown} px, but something is ${width} px`);
  }
}

/** Clients that live in one page of a browser of their own. */
export class Clients {
  static async open(browser) {
    const clients = new Clients();
    clients.context = await openContext(browser);
    clients.page = await clients.context.newPage();
    await clients.page.evaluate(() => (window.clients = new Map()));
    return clients;
  }

  /** Connects one, and waits until it is in its groups. */
  async connect(node, user, groups = []) {
    const options = { user, groups, url: clientUrl(`http://${node.address}`, user) };
    await this.page.evaluate(({ user, groups, url }) => new Promise((resolve, reject) => {
      const socket = new WebSocket(url, "json.webpubsub.azure.v1");
      const client = { socket, heard: [] };
      window.clients.set(user, client);
      let waiting = groups.length;
      socket.onopen = () => groups.forEach((group, n) => socket.send(JSON.stringify({ type: "joinGroup", group, ackId: n + 1 })));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "ack") waiting -= 1;
        else client.heard.push(message);
        if (waiting === 0 && client.heard.some(({ event }) => event === "connected")) resolve();
      };
      socket.onclose = ({ code, reason }) => {
        client.closed = { code, reason };
        reject(new Error(`${user} was closed with ${code}: ${reason}`));
      };
    }), options);
  }

  /** Makes a client send a frame. */
  async send(user, frame) {
    const text = JSON.stringify(frame);
    await this.page.evaluate(({ user, text }) => window.clients.get(user).socket.send(text), { user, text });
  }

  /** Waits until the node has refused this URL. */
  async connectInVain(url) {
    await this.page.evaluate((url) => new Promise((resolve) => {
      new WebSocket(url).onclose = resolve;
    }), url);
  }

  /** Waits until a client has got this text from the server. */
  async heard(user, text) {
    const has = ({ user, text }) => window.clients.get(user).heard.some(({ data }) => data === text);
    await this.page.waitForFunction(has, { user, text });
  }

  /** Waits until a client is closed; returns code and reason. */
  async closed(user) {
    const closed = await this.page.waitForFunction((user) => window.clients.get(user).closed, user);
    return closed.jsonValue();
  }
}
