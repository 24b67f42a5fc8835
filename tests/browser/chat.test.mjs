// The demo page with the real server: what a visitor sees and does.
//
//   cargo build --release -p tieline-server
//   npm ci --prefix tests/browser
//   node --test tests/browser/
//
// TIELINE_BIN selects another server, CHROMIUM another browser. Screenshots for
// review are in target/screenshots/.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { freePorts, repository, requireBinary, Server } from "./server.mjs";
import { launch, openContext, phone, Visitor } from "./visitor.mjs";

const LIMIT = { timeout: 90_000 };
const screenshots = `${repository}target/screenshots`;

let browser;

before(async () => {
  requireBinary();
  mkdirSync(screenshots, { recursive: true });
  browser = await launch();
}, LIMIT);

after(() => browser?.close());

/** The demo and its visitors, alternating between the nodes; closed when the test ends. */
async function stage(t) {
  const server = new Server(await freePorts(2));
  const contexts = [];
  const visitors = [];
  t.after(async () => {
    await Promise.all(contexts.map((context) => context.close()));
    await server.stop("SIGKILL");
  });
  await server.start();

  const context = async (options) => {
    contexts.push(await openContext(browser, options));
    return contexts.at(-1);
  };
  const visit = async (name, { node = visitors.length % 2, ...options } = {}) => {
    const page = `${server.urls[node]}/?name=${encodeURIComponent(name)}`;
    const visitor = await Visitor.open(await context(options), page);
    visitors.push(visitor);
    await visitor.status("Connected");
    return visitor;
  };
  const assertNoErrors = () => visitors.forEach((visitor) => visitor.assertNoErrors());
  return { server, context, visit, assertNoErrors };
}

const shot = (visitor, name) => visitor.page.screenshot({ path: `${screenshots}/${name}.png` });

test("two visitors see each other and chat with everyone", LIMIT, async (t) => {
  const { visit, assertNoErrors } = await stage(t);
  const ada = await visit("ada");
  const grace = await visit("grace", { colorScheme: "dark" });
  await Promise.all([ada.online("grace"), ada.online("ada"), grace.online("ada"), grace.online("grace")]);

  await ada.sayAndSee("Good morning!");
  await grace.bubble("Good morning!").waitFor();
  await grace.sayAndSee("Good morning, ada.");
  await ada.bubble("Good morning, ada.").waitFor();
  assert.equal(await ada.bubble("Good morning!").count(), 1, "one's own message is shown once");

  await Promise.all([shot(ada, "light"), shot(grace, "dark")]);
  assertNoErrors();
});

test("the page shows its node, and which messages came from the other", LIMIT, async (t) => {
  const { server, visit, assertNoErrors } = await stage(t);
  const ada = await visit("ada", { node: 0 });
  const grace = await visit("grace", { node: 1 });
  const alan = await visit("alan", { node: 1 });
  await ada.page.locator("#node", { hasText: `node 1 · ${server.nodes[0]}` }).waitFor();
  await grace.page.locator("#node", { hasText: `node 2 · ${server.nodes[1]}` }).waitFor();
  await Promise.all([ada.onNode("ada", "node 1"), ada.onNode("grace", "node 2"), grace.onNode("ada", "node 1")]);

  await grace.sayAndSee("from over there");
  await ada.bubble("from over there").waitFor();
  assert.equal(await ada.crossed("from over there"), "node 2");
  await alan.bubble("from over there").waitFor();
  assert.equal(await alan.crossed("from over there"), null, "it did not leave its node");

  await ada.choose("people", "grace");
  await ada.page.getByText("On node 2").waitFor();
  await ada.sayAndSee("only you");
  await grace.choose("directs", "ada");
  await grace.bubble("only you").waitFor();
  assert.equal(await grace.crossed("only you"), "node 1");
  assertNoErrors();
});

test("the page links to the other node", LIMIT, async (t) => {
  const { server, visit } = await stage(t);
  const ada = await visit("ada", { node: 0 });
  const opened = ada.page.waitForEvent("popup");
  await ada.page.getByRole("link", { name: "Open node 2" }).click();
  const other = await opened;
  await other.locator("#status", { hasText: /^Connected$/u }).waitFor();
  assert.equal(new URL(other.url()).host, server.nodes[1]);
  await ada.page.getByText("2 people online").waitFor();
});

test("a visitor who leaves is no longer shown as online", LIMIT, async (t) => {
  const { visit } = await stage(t);
  const ada = await visit("ada");
  const grace = await visit("grace");
  await ada.online("grace");

  await grace.page.close();

  await ada.page.locator("#people bdi", { hasText: "grace" }).waitFor({ state: "detached" });
  await ada.page.getByText("Only you are here").waitFor();
});

test("a private message reaches its addressee only", LIMIT, async (t) => {
  const { visit, assertNoErrors } = await stage(t);
  const [ada, grace, third] = [await visit("ada"), await visit("grace"), await visit("third")];
  await ada.online("grace");

  await ada.choose("people", "grace");
  await ada.sayAndSee("for grace alone");
  await grace.unread("directs", "ada", 1);
  await grace.choose("directs", "ada");
  await grace.bubble("for grace alone").waitFor();
  await grace.sayAndSee("thank you");
  await ada.bubble("thank you").waitFor();

  // Messages of one sender arrive in order, so after this nothing is in flight.
  await ada.choose("rooms", "Everyone");
  await ada.sayAndSee("for all");
  await third.bubble("for all").waitFor();
  assert.doesNotMatch(await third.content(), /for grace alone|thank you/u);
  assertNoErrors();
});

test("a private message to somebody who has left is shown as not delivered", LIMIT, async (t) => {
  const { visit } = await stage(t);
  const ada = await visit("ada");
  const grace = await visit("grace");
  await ada.online("grace");
  await ada.choose("people", "grace");
  await grace.page.close();
  await ada.page.getByText("Not online", { exact: true }).waitFor();

  await ada.say("still there?");
  await ada.bubble("still there?", '[data-state="failed"]').waitFor();
  await ada.page.getByText("grace is not online").first().waitFor();

  const again = await visit("grace");
  await ada.online("grace");
  await ada.page.getByRole("button", { name: "Try again" }).click();
  await ada.bubble("still there?", '[data-state="sent"]').waitFor();
  await again.unread("directs", "ada", 1);
});

test("a message in a room reaches its members only", LIMIT, async (t) => {
  const { visit, assertNoErrors } = await stage(t);
  const [ada, grace, third] = [await visit("ada"), await visit("grace"), await visit("third")];
  await ada.joinRoom("engines");
  await grace.joinRoom("engines");
  // The own message shows that the join has taken effect.
  await grace.sayAndSee("grace is in");

  await ada.sayAndSee("members only");
  await grace.bubble("members only").waitFor();
  await ada.choose("rooms", "Everyone");
  await ada.sayAndSee("for all");
  await third.bubble("for all").waitFor();
  assert.doesNotMatch(await third.content(), /members only/u);

  await grace.page.getByRole("button", { name: "Leave #engines" }).click();
  await grace.sayAndSee("grace is out");
  await ada.choose("rooms", "engines");
  await ada.sayAndSee("after grace left");
  await ada.choose("rooms", "Everyone");
  await ada.sayAndSee("for all again");
  await grace.bubble("for all again").waitFor();
  assert.doesNotMatch(await grace.content(), /after grace left/u);
  assertNoErrors();
});

test("markup and newlines are shown literally", LIMIT, async (t) => {
  const { visit, assertNoErrors } = await stage(t);
  const ada = await visit("ada");
  const odd = await visit(`<i>"&amp;`);
  const text = `<img src=x onerror="document.title='injected'">\n  <script>document.title='injected'</script>\n\n&lt;b&gt; "é" 漢字 🙂`;

  await odd.say(text);
  const bubble = ada.page.locator(".message .bubble").last();
  await bubble.waitFor();

  assert.equal(await bubble.evaluate((element) => element.textContent), text);
  assert.equal(await bubble.evaluate((element) => element.childElementCount), 0);
  assert.equal(await ada.page.locator(".message .sender bdi").last().evaluate((name) => name.innerHTML), `&lt;i&gt;"&amp;amp;`);
  assert.doesNotMatch(await ada.page.title(), /injected/u);
  assertNoErrors();
});

test("messages from other programs in the lobby are shown", LIMIT, async (t) => {
  const { visit, assertNoErrors } = await stage(t);
  const ada = await visit("ada");

  await ada.page.evaluate(() => {
    const frame = (dataType, data) => JSON.stringify({ type: "sendToGroup", group: "lobby", dataType, data });
    const robot = new WebSocket(`ws://${location.host}/client/hubs/chat?user=robot`, "json.webpubsub.azure.v1");
    robot.onopen = () => {
      robot.send(frame("text", "plain text"));
      robot.send(frame("json", "a bare string"));
      robot.send(frame("json", { load: 0.5 }));
    };
  });

  await ada.bubble("plain text").waitFor();
  await ada.bubble("a bare string").waitFor();
  await ada.page.locator(".bubble", { hasText: '"load": 0.5' }).waitFor();
  assertNoErrors();
});

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`the page reconnects after ${signal}`, LIMIT, async (t) => {
    const { server, visit, assertNoErrors } = await stage(t);
    const [ada, grace] = [await visit("ada"), await visit("grace")];
    await Promise.all([ada.joinRoom("engines"), grace.joinRoom("engines")]);
    await ada.sayAndSee("before");
    await ada.page.evaluate(() => (window.loadedOnce = true));

    const ended = await server.stop(signal);
    assert.deepEqual(ended, signal === "SIGTERM" ? { code: 0, signal: null } : { code: null, signal });
    await Promise.all([ada.status("Reconnecting"), grace.status("Reconnecting")]);
    await ada.page.locator("#banner", { hasText: "Reconnecting in" }).waitFor();
    await ada.page.locator("#text").fill("kept");
    await ada.page.locator("#text").press("Enter");
    await ada.page.getByText("your text stays here").first().waitFor();
    assert.equal(await ada.page.locator("#text").inputValue(), "kept");
    await shot(ada, `reconnecting-${signal.toLowerCase()}`);

    await server.start();
    await Promise.all([ada.status("Connected"), grace.status("Connected")]);
    assert.equal(await ada.page.evaluate(() => window.loadedOnce), true, "the page was not loaded again");
    await ada.bubble("before").waitFor();

    await ada.page.locator("#text").press("Enter");
    await grace.bubble("kept").waitFor();
    await grace.choose("rooms", "Everyone");
    await grace.sayAndSee("back again");
    await ada.unread("rooms", "Everyone", 1);
    assertNoErrors();
  });
}

test("two tabs of one browser can be two people", LIMIT, async (t) => {
  const { server, context } = await stage(t);
  const shared = await context();
  const first = await Visitor.open(shared, server.urls[0]);
  await first.page.getByRole("textbox", { name: "Your name" }).fill("ada");
  await first.page.getByRole("button", { name: "Start chatting" }).click();
  await first.status("Connected");

  const second = await Visitor.open(shared, server.urls[0]);
  await second.page.locator("#me-name", { hasText: "ada" }).waitFor();
  await second.page.getByRole("button", { name: "Change name" }).click();
  await second.page.getByRole("textbox", { name: "Your name" }).fill("grace");
  await second.page.getByRole("dialog").getByRole("button", { name: "Change name" }).click();
  await Promise.all([first.online("grace"), second.online("ada")]);

  await first.page.reload();
  await first.page.locator("#me-name", { hasText: "ada" }).waitFor();
  await first.status("Connected");
});

test("the page works on a phone", LIMIT, async (t) => {
  const { visit, assertNoErrors } = await stage(t);
  const ada = await visit("ada", phone);
  const grace = await visit("grace");
  const sidebar = ada.page.locator("#sidebar");
  await sidebar.waitFor({ state: "hidden" });
  await grace.sayAndSee(`a long word: ${"x".repeat(200)}`);
  await ada.sayAndSee("hello from a phone");
  await shot(ada, "phone");

  await ada.page.getByRole("button", { name: "Conversations and people" }).tap();
  await sidebar.waitFor({ state: "visible" });
  await ada.online("grace");
  await shot(ada, "phone-drawer");
  await ada.page.keyboard.press("Escape");
  await sidebar.waitFor({ state: "hidden" });

  await ada.page.getByRole("button", { name: "Conversations and people" }).tap();
  await ada.choose("people", "grace");
  await sidebar.waitFor({ state: "hidden" });
  await ada.sayAndSee("just you");
  await grace.unread("directs", "ada", 1);

  const width = await ada.page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= phone.viewport.width, `nothing is wider than the screen, but something is ${width} px`);
  assertNoErrors();
});

test("everything can be done with the keyboard alone", LIMIT, async (t) => {
  const { server, context, visit } = await stage(t);
  const grace = await visit("grace");
  const ada = await Visitor.open(await context(), server.urls[1]);
  const { page } = ada;
  const { keyboard } = page;
  const focused = (selector) => page.waitForFunction((wanted) => document.activeElement?.matches(wanted), selector);
  const tabTo = async (selector, key = "Tab") => {
    for (let steps = 0; steps < 40; steps += 1) {
      await keyboard.press(key);
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    }
    assert.fail(`${key} does not lead to ${selector}`);
  };

  await focused("#name");
  await keyboard.type("ada");
  await keyboard.press("Enter");
  await ada.status("Connected");

  await tabTo(".skip");
  await keyboard.press("Enter");
  await focused("#text");
  await keyboard.type("one");
  await keyboard.press("Shift+Enter");
  await keyboard.type("two");
  await keyboard.press("Enter");
  await grace.bubble("one\ntwo").waitFor();

  await tabTo("#room", "Shift+Tab");
  await keyboard.type("engines");
  await keyboard.press("Enter");
  await focused("#text");
  await page.locator("h1", { hasText: "#engines" }).waitFor();

  await tabTo("#rooms button", "Shift+Tab");
  await keyboard.press("ArrowUp");
  await keyboard.press("Enter");
  await page.locator("h1", { hasText: "Everyone" }).waitFor();

  await ada.online("grace");
  await tabTo("#people button", "Shift+Tab");
  await keyboard.press("Enter");
  await focused("#text");
  await keyboard.type("hello");
  await keyboard.press("Enter");
  await grace.unread("directs", "ada", 1);

  await tabTo("#leave", "Shift+Tab");
  await keyboard.press("Enter");
  await page.locator("h1", { hasText: "Everyone" }).waitFor();
});
