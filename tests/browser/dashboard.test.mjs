// The dashboard with two real nodes over Redis: what an operator sees and does.
//
//   cargo build --release -p tieline-server
//   npm ci --prefix tests/browser
//   node --test tests/browser/dashboard.test.mjs
//
// It needs redis-server. dashboard.pictures.mjs makes the pictures of docs/dashboard.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Clients, Operator, startCluster, TOKEN } from "./dashboard.mjs";
import { clientUrl } from "./proxies/processes.mjs";
import { requireBinary } from "./server.mjs";
import { launch, phone } from "./visitor.mjs";

const LIMIT = { timeout: 120_000 };
const VIEWS = ["Nodes", "Connections", "Groups", "Event handlers", "Refusals"];

let browser;

before(async () => {
  requireBinary();
  browser = await launch();
}, LIMIT);

after(() => browser?.close());

/** Two nodes, and clients of them. Operators open the dashboard of the first node. */
async function stage(t, environment = {}) {
  const cluster = await startCluster(environment);
  const opened = [];
  t.after(async () => {
    await Promise.all(opened.map(({ context }) => context.close()));
    await cluster.stop();
  });
  const [first, second] = cluster.nodes;
  const clients = await Clients.open(browser);
  opened.push(clients);
  const operator = async (options) => {
    opened.push(await Operator.open(browser, first, options));
    return opened.at(-1);
  };
  return { first, second, clients, operator };
}

test("the nodes of the cluster are shown live, with their links", LIMIT, async (t) => {
  const { first, second, clients, operator } = await stage(t);
  const person = await operator();
  await person.status("Live");
  await Promise.all([first, second].map(({ peers }) => person.row("nodes-table", peers).waitFor()));
  await person.page.locator("#matrix td", { hasText: /^up/u }).nth(1).waitFor();

  const connections = person.row("nodes-table", second.peers).locator('[data-label="Connections"]');
  await connections.filter({ hasText: /^0$/u }).waitFor();
  await clients.connect(second, "grace");
  await connections.filter({ hasText: /^1$/u }).waitFor();
  person.assertNoErrors();
});

test("a client of another node is found by its user, sent to and closed", LIMIT, async (t) => {
  const { first, second, clients, operator } = await stage(t);
  await clients.connect(second, "ada", ["engines"]);
  await clients.connect(first, "grace", ["engines"]);
  const person = await operator({ view: "#/connections" });
  await person.row("connections-table", "grace").waitFor();
  await person.search("User", "ada");
  await person.row("connections-table", "grace").waitFor({ state: "detached" });
  await person.row("connections-table", "ada").getByRole("link").click();
  await person.fact("User", "ada").waitFor();
  await person.fact("Node", second.peers).waitFor();
  await person.fact("Groups", "engines").waitFor();

  await person.page.getByLabel("Send a text to this client").fill("<b>hello</b>");
  await person.page.getByRole("button", { name: "Send" }).click();
  await clients.heard("ada", "<b>hello</b>");
  await person.page.locator("#outcome", { hasText: /^Sent\.$/u }).waitFor();

  await person.page.getByRole("button", { name: "Close the connection…" }).click();
  await person.page.getByLabel("Code").fill("4321");
  await person.page.getByLabel("Reason").fill("by an operator");
  await person.page.getByRole("dialog").getByRole("button", { name: "Close the connection" }).click();
  assert.deepEqual(await clients.closed("ada"), { code: 4321, reason: "by an operator" });
  await person.page.getByText("No node has this connection any more").waitFor();
  assert.ok(await person.page.getByRole("button", { name: "Send" }).isDisabled());
  person.assertNoErrors();
});

test("a client of another node is followed live, paused, and followed with others of its user", LIMIT, async (t) => {
  const { second, clients, operator } = await stage(t, { TIELINE_ADMIN_READ_ONLY: "true", TIELINE_ADMIN_TOKEN: TOKEN });
  await clients.connect(second, "ada", ["engines"]);
  const person = await operator({ view: "#/connections?user=ada", token: TOKEN });
  await person.row("connections-table", "ada").getByRole("link").click();
  await person.button("Follow").press("Enter");
  await person.event("connected", "as ada").waitFor();
  await person.page.locator("#follow-events li", { hasText: second.peers }).first().waitFor();

  const say = (data) => clients.send("ada", { type: "sendToGroup", group: "engines", dataType: "text", data, ackId: data.length });
  await say("<b>hi</b>");
  await person.event("from client", /^.*sendToGroup engines ack 9, \d+ B/u).waitFor();
  await person.event("to client", "message from group engines").waitFor();
  await person.event("to client", "ack ack 9 ok").waitFor();
  assert.ok(!(await person.page.locator("#follow-events").textContent()).includes("hi</b>"), "no payload is shown");

  await person.button("Pause").click();
  await say("unseen");
  await person.page.getByRole("button", { name: /^Resume \(3 new\)$/u }).waitFor();
  assert.equal(await person.event("from client", "ack 6").count(), 0);
  await person.page.getByRole("button", { name: /^Resume/u }).click();
  await person.event("from client", "ack 6").waitFor();
  await person.button("Stop").click();
  await person.page.getByText("Stopped.", { exact: true }).waitFor();

  await person.page.getByLabel("All connections of its user").check();
  await person.button("Follow").click();
  await person.event("connected", "as ada").waitFor();
  await say("again");
  await person.event("from client", "ack 5").waitFor();
  person.assertNoErrors();
});

test("payloads of a followed client are shown as text if the node allows it, and its end ends the list", LIMIT, async (t) => {
  const { first, clients, operator } = await stage(t, { TIELINE_ADMIN_SHOW_PAYLOADS: "true" });
  await clients.connect(first, "ada", ["engines"]);
  const person = await operator({ view: "#/connections?user=ada", ...phone });
  await person.row("connections-table", "ada").getByRole("link").click();
  await person.button("Follow").click();
  await person.event("connected", "as ada").waitFor();
  const data = `<img src=x onerror="document.title='injected'">`;
  await clients.send("ada", { type: "sendToGroup", group: "engines", dataType: "text", data });
  const payload = person.event("to client", "message from group").locator("code");
  assert.ok((await payload.textContent()).includes(JSON.stringify(data)));
  assert.equal(await payload.evaluate((code) => code.childElementCount), 0);
  await person.assertFits();

  await person.page.getByRole("button", { name: "Close the connection…" }).click();
  await person.page.getByRole("dialog").getByRole("button", { name: "Close the connection" }).click();
  await person.event("closed", "by the application (1000)").waitFor();
  await person.page.getByText("The connection has ended.", { exact: true }).waitFor();
  await person.button("Follow").waitFor();
  assert.doesNotMatch(await person.page.title(), /injected/u);
  person.assertNoErrors();
});

test("groups are listed by size, and lead to their members", LIMIT, async (t) => {
  const { first, second, clients, operator } = await stage(t);
  await clients.connect(first, "ada", ["engines", "tea"]);
  await clients.connect(second, "grace", ["engines"]);
  const person = await operator({ view: "#/groups" });
  await person.row("groups-table", "engines").locator('[data-label="Members"]', { hasText: /^2$/u }).waitFor();
  const names = await person.page.locator("#groups-table tbody th").allTextContents();
  assert.deepEqual(names, ["engines", "tea"]);

  await person.page.getByRole("link", { name: "tea" }).click();
  await person.row("connections-table", "ada").waitFor();
  assert.equal(await person.page.locator("#connections-table tbody tr").count(), 1);
  person.assertNoErrors();
});

test("who was refused by another node is shown with the reason", LIMIT, async (t) => {
  const { second, clients, operator } = await stage(t);
  const person = await operator({ view: "#/refusals" });
  await person.page.getByText("Nobody has been refused.").waitFor();
  await clients.connectInVain(`${clientUrl(`http://${second.address}`, "mallory")}x`);
  const row = person.row("refusals-table", second.peers);
  await row.locator('[data-label="Address"]', { hasText: "127.0.0.1" }).waitFor();
  const reason = await row.locator('[data-label="Reason"]').textContent();
  assert.match(reason, /token|signature/u);
  person.assertNoErrors();
});

test("names are shown literally, and lead to their owner", LIMIT, async (t) => {
  const { first, clients, operator } = await stage(t);
  const markup = `<img src=x onerror="document.title='injected'">`;
  await clients.connect(first, markup, [`"><script>document.title='injected'</script>/../?&#`]);
  const hidden = {
    "a\u202eb": String.raw`a\u{202e}b`,
    "ada  ": String.raw`ada\u{20}\u{20}`,
    " ada": String.raw`\u{20}ada`,
    "a\u00a0b": String.raw`a\u{a0}b`,
    "a\u034f\ufe0fb": String.raw`a\u{34f}\u{fe0f}b`,
    "\u3164\u2800\u115f": String.raw`\u{3164}\u{2800}\u{115f}`,
    "ada lovelace": "ada lovelace",
  };
  for (const name of Object.keys(hidden)) await clients.connect(first, name);
  const person = await operator({ view: "#/connections" });
  const user = person.row("connections-table", markup).locator('[data-label="User"] bdi');
  assert.equal(await user.evaluate((name) => name.textContent), markup);
  assert.equal(await user.evaluate((name) => name.childElementCount), 0);
  const shown = person.page.locator('#connections-table [data-label="User"] bdi');
  const names = (await shown.allTextContents()).filter((name) => name !== markup);
  assert.deepEqual(names.sort(), Object.values(hidden).sort());

  await person.row("connections-table", markup).getByRole("link").click();
  await person.fact("User", markup).waitFor();
  await person.page.locator("#facts a", { hasText: "/../?&#" }).click();
  await person.row("connections-table", markup).waitFor();
  assert.equal(await person.page.locator("#connections-table tbody tr").count(), 1);
  assert.doesNotMatch(await person.page.title(), /injected/u);
  person.assertNoErrors();
});

test("the page asks for the token that the port wants, and can forget it", LIMIT, async (t) => {
  const { first, operator } = await stage(t, { TIELINE_ADMIN_TOKEN: TOKEN });
  const person = await operator();
  await person.enter("another-token-than-that");
  await person.page.getByText("This is not the token of the admin port.").waitFor();
  await person.enter(TOKEN);
  await person.status("Live");
  await person.row("nodes-table", first.peers).waitFor();

  await person.page.reload();
  await person.status("Live");
  assert.ok(!person.page.url().includes(TOKEN));
  await person.page.getByRole("button", { name: "Forget token" }).click();
  await person.page.getByLabel("Token of the admin port").waitFor();
  assert.equal(await person.page.evaluate(() => sessionStorage.length + localStorage.length), 0);
  person.assertNoErrors();
});

test("nothing can be changed in read-only mode", LIMIT, async (t) => {
  const { first, clients, operator } = await stage(t, { TIELINE_ADMIN_READ_ONLY: "true" });
  await clients.connect(first, "ada");
  const person = await operator({ view: "#/connections" });
  await person.page.getByText("Read-only").waitFor();
  await person.row("connections-table", "ada").getByRole("link").click();
  await person.fact("User", "ada").waitFor();
  assert.equal(await person.page.getByRole("button", { name: /Send|Close/u }).count(), 0);
  person.assertNoErrors();
});

test("the page comes back when its node does", LIMIT, async (t) => {
  const { first, operator } = await stage(t);
  const person = await operator();
  await person.status("Live");
  await first.process.stop("SIGKILL");
  await person.status("Reconnecting");
  await person.page.getByText("Cannot reach the node. What is shown is old.").waitFor();
  first.start();
  await person.status("Live");
  await person.page.getByText("Cannot reach the node.").waitFor({ state: "hidden" });
  person.assertNoErrors();
});

test("every view fits a phone", LIMIT, async (t) => {
  const { first, second, clients, operator } = await stage(t);
  await clients.connect(second, "x".repeat(200), ["y".repeat(200)]);
  const person = await operator(phone);
  await person.row("nodes-table", first.peers).waitFor();
  for (const view of VIEWS) {
    await person.choose(view);
    await person.page.getByRole("heading", { name: view, level: 1 }).waitFor();
    await person.assertFits();
  }
  await person.choose("Connections");
  await person.row("connections-table", "xxx").getByRole("link").click();
  await person.fact("User", "xxx").waitFor();
  await person.assertFits();
  person.assertNoErrors();
});

test("a client can be found and closed with the keyboard alone", LIMIT, async (t) => {
  const { first, clients, operator } = await stage(t);
  await clients.connect(first, "ada");
  const person = await operator();
  await person.status("Live");
  const { page } = person;
  const { keyboard } = page;
  const tabTo = async (selector) => {
    for (let steps = 0; steps < 60; steps += 1) {
      await keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    }
    assert.fail(`Tab does not lead to ${selector}`);
  };

  await tabTo(".skip");
  await keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "view");
  await page.reload();
  await tabTo('.tabs a[href="#/connections"]');
  await keyboard.press("Enter");
  await tabTo('input[name="user"]');
  await keyboard.type("ada");
  await keyboard.press("Enter");
  await person.row("connections-table", "ada").waitFor();
  await tabTo("#connections-table a");
  await keyboard.press("Enter");
  await person.fact("User", "ada").waitFor();
  await tabTo("#close-open");
  await keyboard.press("Enter");
  await tabTo("#close button.danger");
  await keyboard.press("Enter");
  assert.equal((await clients.closed("ada")).code, 1000);
  person.assertNoErrors();
});
