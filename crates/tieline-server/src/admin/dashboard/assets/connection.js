// One connection: what is known about it, and what can be done to it.

import { ApiError, get, pathOf, post } from "./api.js";
import { byId, element, reconcile, setText } from "./dom.js";
import { Follow } from "./follow.js";
import { ago, bytes, count, frames, moment, slowed, visible } from "./format.js";
import { explained, Poll } from "./poll.js";

const PERIOD_MS = 2_000;

const FACTS = [
  ["Hub", ({ hub }) => hub],
  ["User", ({ user }) => user],
  ["Address", ({ address }) => address],
  ["Node", ({ node }) => node],
  ["Connected", ({ since }) => since && `${ago(since)} ago, at ${moment(since)}`],
  ["Protocol", ({ wire, subprotocol }) => [wire, subprotocol].filter(Boolean).join(", ")],
  ["Slowed down", ({ slowed_down: it }) => it && `${it.now ? "now; " : ""}${slowed({ ...it, ms: it.seconds * 1000 })}`],
  ["Waiting for it", (connection) => `${frames(connection.queued_frames)}, ${bytes(connection.queued_bytes)}`],
];

const FAILURES = {
  offline: "no node has this connection",
  refused: "too much waits for the client",
  "queue-full": "too much waits for its node; try again",
  unreachable: "its node cannot be reached",
};

export class Connection {
  #hub;
  #id;
  #poll;
  #follow = new Follow();

  constructor({ onAnswer, onError }) {
    this.#poll = new Poll(PERIOD_MS, (signal) => this.#ask(signal, onAnswer), onError);
    byId("send").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(byId("send-text").value);
    });
    byId("send-text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("send").requestSubmit();
    });
    byId("close-open").addEventListener("click", () => this.#askToClose());
    byId("close-cancel").addEventListener("click", () => byId("close").close());
  }

  enter({ path: [hub, id] }) {
    this.#hub = hub;
    this.#id = id;
    byId("facts").replaceChildren();
    byId("connection-title").firstElementChild.textContent = visible(id);
    byId("connection-gone").hidden = true;
    this.#setActive(true);
    this.#tell("");
    byId("send").reset();
    this.#follow.enter(hub, id);
    this.#poll.start();
  }

  leave() {
    this.#poll.stop();
    this.#follow.stop("");
    byId("close").close();
  }

  async #ask(signal, onAnswer) {
    try {
      const connection = await get(pathOf(this.#hub, this.#id), {}, signal);
      byId("connection-gone").hidden = true;
      this.#setActive(true);
      this.#show(connection);
      onAnswer(connection);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || signal.aborted) throw error;
      byId("connection-gone").hidden = false;
      this.#setActive(false);
    }
  }

  #show(connection) {
    this.#follow.user(connection.user);
    const facts = new Map(FACTS.map(([label, value]) => [label, [element("bdi", {}, visible(value(connection)) || "—")]]));
    const { groups, group_count: total, roles } = connection;
    facts.set("Groups", named(groups, (group) => {
      const query = new URLSearchParams({ group, hub: connection.hub });
      return element("a", { href: `#/connections?${query}` }, element("bdi", {}, visible(group)));
    }, total));
    facts.set("Roles", named(roles, (role) => element("bdi", {}, visible(role)), roles.length));
    reconcile(byId("facts"), facts.keys(), fact, (entry, label) => {
      const next = facts.get(label);
      const shown = entry.lastElementChild;
      // A link in it may have the focus.
      if (texts(shown.childNodes) !== texts(next)) shown.replaceChildren(...next);
    });
  }

  async #send(text) {
    await this.#act("send", { text }, ({ outcome }) => {
      if (outcome === "delivered") byId("send").reset();
      return said(outcome, "Sent.", "Not sent");
    });
  }

  #askToClose() {
    const dialog = byId("close");
    dialog.returnValue = "";
    dialog.onclose = () => {
      if (dialog.returnValue !== "close") return;
      const body = { code: Number(byId("close-code").value), reason: byId("close-reason").value };
      this.#act("close", body, ({ outcome }) => said(outcome, "The connection is being closed.", "Not closed"));
    };
    dialog.showModal();
  }

  async #act(action, body, describe) {
    const [hub, id] = [this.#hub, this.#id];
    this.#tell("…");
    const answer = await post(`${pathOf(hub, id)}/${action}`, body).catch(explained);
    // Another connection may be shown by now.
    if (hub !== this.#hub || id !== this.#id) return;
    this.#tell(answer instanceof ApiError ? answer.message : describe(answer));
    this.#poll.start();
  }

  #tell(text) {
    setText(byId("outcome"), text);
  }

  #setActive(active) {
    for (const control of byId("actions").querySelectorAll("button, textarea")) control.disabled = !active;
  }
}

/** What became of a message or a close, as a sentence. */
function said(outcome, done, failed) {
  if (outcome === "delivered") return done;
  const reason = FAILURES[outcome];
  return reason ? `${failed}: ${reason}.` : "It is not known whether the client was reached.";
}

const texts = (nodes) => JSON.stringify([...nodes].map(({ textContent }) => textContent));

const fact = (label) => element("div", {}, element("dt", {}, label), element("dd"));

/** Names, each as a chip, or a dash. */
function named(names, chip, total) {
  if (names.length === 0) return [element("span", {}, "—")];
  const chips = names.map((text) => element("span", { className: "chip" }, chip(text)));
  return total > names.length ? [...chips, element("span", {}, `and ${count(total - names.length)} more`)] : chips;
}
