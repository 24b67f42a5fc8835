// A visitor of the page: what a person sees and does. Each visitor has a browser
// context, unless several tabs share one.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { requireExecutable } from "./server.mjs";

const DEADLINE_MS = 15_000;
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const quiet = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const desktop = { viewport: { width: 1180, height: 760 } };
export const phone = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true };

export function launch(flags = []) {
  requireExecutable(
    executablePath,
    `no browser at ${executablePath}: install Chromium (Debian: apt-get install chromium), or name one in CHROMIUM`,
  );
  return chromium.launch({ executablePath, args: [...quiet, ...flags] });
}

export async function openContext(browser, options = {}) {
  const context = await browser.newContext({ ...desktop, ...options });
  context.setDefaultTimeout(DEADLINE_MS);
  return context;
}

export class Visitor {
  #complaints = [];

  static async open(context, address) {
    const visitor = new Visitor(await context.newPage(), new URL(address).origin);
    await visitor.page.goto(address);
    return visitor;
  }

  constructor(page, origin) {
    this.page = page;
    page.on("pageerror", (error) => this.#complaints.push(String(error)));
    page.on("console", (message) => this.#heard(message));
    page.on("request", (request) => {
      if (!request.url().startsWith(origin)) this.#complaints.push(`asked elsewhere: ${request.url()}`);
    });
  }

  // While the server is down, the browser logs each failed connection attempt.
  #heard(message) {
    const expected = message.text().startsWith("WebSocket connection to");
    if (message.type() === "error" && !expected) this.#complaints.push(message.text());
  }

  assertNoErrors() {
    assert.deepEqual(this.#complaints, []);
  }

  status(word) {
    return this.page.locator("#status", { hasText: new RegExp(`^${word}$`, "u") }).waitFor();
  }

  online(name) {
    return this.page.locator("#people bdi", { hasText: exactly(name) }).waitFor();
  }

  choose(list, name) {
    return this.#item(list, name).click();
  }

  async joinRoom(name) {
    await this.page.getByLabel("Room to join").fill(name);
    await this.page.getByRole("button", { name: "Join", exact: true }).click();
    await this.page.locator("h1", { hasText: exactly(`#${name}`) }).waitFor();
  }

  async say(text) {
    await this.page.locator("#text").fill(text);
    await this.page.getByRole("button", { name: "Send" }).click();
  }

  /** Sends a message and waits until it has come back from the server. */
  async sayAndSee(text) {
    await this.say(text);
    await this.bubble(text, '.own[data-state="sent"]').waitFor();
  }

  /** Messages with exactly this text in the visible conversation. */
  bubble(text, kind = "") {
    return this.page.locator(`.conversation:not([hidden]) .message${kind} .bubble`, { hasText: exactly(text) });
  }

  /** Waits until a person is listed with this note about their node. */
  onNode(name, node) {
    const person = this.page.locator("#people li", { has: this.page.locator("bdi", { hasText: exactly(name) }) });
    return person.locator(".on-node", { hasText: exactly(node) }).waitFor();
  }

  /** The other node that a message came from, or null. */
  async crossed(text) {
    const bubble = this.page.locator(".bubble", { hasText: exactly(text) });
    const mark = this.page.locator(".conversation:not([hidden]) .message", { has: bubble }).locator(".crossed");
    return (await mark.count()) === 0 ? null : mark.textContent();
  }

  unread(list, name, count) {
    return this.#item(list, name).locator(".badge", { hasText: new RegExp(`^${count}\\b`, "u") }).waitFor();
  }

  #item(list, name) {
    return this.page.locator(`#${list} button`, { has: this.page.locator("bdi", { hasText: exactly(name) }) });
  }

  /** The whole text of the document, visible or not. */
  content() {
    return this.page.evaluate(() => document.documentElement.textContent);
  }
}

/** A locator given a string would accept any text that contains it. */
function exactly(text) {
  return new RegExp(`^${text.replace(/[\\^$.*+?()[\]{}|]/gu, "\\$&")}$`, "u");
}
