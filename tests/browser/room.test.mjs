// The example pusher-room: members of a presence channel who come and go on two nodes over Redis, as people see it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, eventually, Process } from "./proxies/processes.mjs";
import { freePorts, repository, requireBinary } from "./server.mjs";
import { launch, openContext, phone } from "./visitor.mjs";

const LIMIT = { timeout: 120_000 };
// The lease of a node is 10 s.
const DEATH_MS = 30_000;
const example = `${repository}examples/pusher-room`;
const screenshots = `${repository}target/screenshots`;

let browser;

before(async () => {
  requireBinary();
  mkdirSync(screenshots, { recursive: true });
  browser = await launch();
}, LIMIT);

after(() => browser?.close());

/** A person in the room. */
class Person {
  #complaints = [];

  constructor(context, page) {
    this.context = context;
    this.page = page;
    page.on("pageerror", (error) => this.#complaints.push(String(error)));
    page.on("console", (message) => {
      // The browser itself logs each failed attempt to connect.
      const expected = message.text().startsWith("WebSocket connection to");
      if (message.type() === "error" && !expected) this.#complaints.push(message.text());
    });
  }

  connected() {
    return this.page.locator("#status", { hasText: /^Connected$/u }).waitFor();
  }

  /** The names at each node. */
  members() {
    return this.page.locator("#nodes section").evaluateAll((sections) => sections.map((section) =>
      [...section.querySelectorAll("li bdi")].map((name) => name.textContent)));
  }

  sees(...members) {
    const expected = JSON.stringify(members);
    return eventually(`sees ${expected}`, async () => JSON.stringify(await this.members()) === expected, DEATH_MS);
  }

  /** What has happened, the latest first. */
  log() {
    return this.page.locator("#log li > span").allTextContents();
  }

  assertNoErrors() {
    assert.deepEqual(this.#complaints, []);
  }
}

/** Two nodes, the application, and people; all end with the test. */
async function stage(t) {
  const [port] = await freePorts(1);
  const secret = randomBytes(20).toString("hex");
  const cluster = await Cluster.start(2, "1s", { TIELINE_CONFIG: `${example}/tieline.toml`, ROOM_SECRET: secret });
  const people = [];
  const NODES = cluster.nodes.map(({ address }) => address).join(",");
  const environment = { ROOM_SECRET: secret, NODES, PORT: String(port) };
  const application = new Process(process.execPath, [`${example}/server.mjs`], environment);
  t.after(async () => {
    await Promise.all(people.map(({ context }) => context.close()));
    await application.stop("SIGKILL");
    await cluster.stop();
  });
  await application.ready(async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => null))?.ok);
  const enter = async (name, node, options) => {
    const context = await openContext(browser, options);
    const person = new Person(context, await context.newPage());
    people.push(person);
    await person.page.goto(`http://127.0.0.1:${port}/?name=${name}&node=${node}`);
    await person.connected();
    return person;
  };
  return { cluster, enter };
}

const shot = ({ page }, name) => page.screenshot({ path: `${screenshots}/${name}.png` });

test("people see each other come and go across nodes", LIMIT, async (t) => {
  const { enter } = await stage(t);
  const ada = await enter("ada", 0);
  const grace = await enter("grace", 1, { colorScheme: "dark" });
  const alan = await enter("alan", 1, phone);
  for (const person of [ada, grace, alan]) await person.sees(["ada"], ["alan", "grace"]);
  assert.deepEqual(await ada.log(), ["alan came", "grace came"]);

  // A second tab is the same member: nobody is told, neither when it opens nor when it closes.
  const second = await enter("grace", 1);
  await second.sees(["ada"], ["alan", "grace"]);
  await second.context.close();
  const barbara = await enter("barbara", 0);
  await ada.sees(["ada", "barbara"], ["alan", "grace"]);
  assert.equal((await ada.log())[0], "barbara came");
  await shot(ada, "room-light");
  await shot(grace, "room-dark");
  await shot(alan, "room-phone");
  const width = await alan.page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= phone.viewport.width, `the page is ${width} pixels wide`);

  await barbara.context.close();
  for (const person of [ada, grace, alan]) await person.sees(["ada"], ["alan", "grace"]);
  assert.deepEqual((await ada.log()).slice(0, 2), ["barbara left", "barbara came"]);
  await ada.page.getByRole("button", { name: "Move to node 2" }).click();
  for (const person of [ada, grace]) await person.sees([], ["ada", "alan", "grace"]);
  for (const person of [ada, grace, alan]) person.assertNoErrors();
});

test("members of a node that is killed go, and come when they are back", LIMIT, async (t) => {
  const { cluster, enter } = await stage(t);
  const ada = await enter("ada", 0);
  const grace = await enter("grace", 1);
  await ada.sees(["ada"], ["grace"]);
  await cluster.nodes[1].process.stop("SIGKILL");
  await grace.page.locator("#status:not([data-status=online])").waitFor();
  await ada.sees(["ada"], []);
  cluster.nodes[1].start();
  await grace.connected();
  for (const person of [ada, grace]) await person.sees(["ada"], ["grace"]);
  assert.deepEqual(await ada.log(), ["grace came", "grace left", "grace came"]);
});
