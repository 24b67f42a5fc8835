// The search for connections over all nodes.

import { get } from "./api.js";
import { byId, element, reconcile, setText } from "./dom.js";
import { ago, bytes, count } from "./format.js";
import { Poll } from "./poll.js";
import { name, number, Table, whole } from "./table.js";

// Without a user or a group, each node looks at all of its connections.
const PERIOD_MS = 5_000;
const FEW = 100;
const MOST = 500;
const FIELDS = ["user", "id", "group", "hub", "address", "node"];

export const connectionHref = ({ hub, id }) => `#/connections/${encodeURIComponent(hub)}/${encodeURIComponent(id)}`;

export class Connections {
  #query = {};
  #limit = FEW;
  #table = new Table(byId("connections-table"), {
    caption: "Connections that were found",
    columns: [
      name("Id", ({ id }) => id, connectionHref),
      name("User", ({ user }) => user),
      name("Hub", ({ hub }) => hub),
      whole("Address", ({ address }) => address ?? ""),
      whole("Node", ({ node }) => node),
      number("Connected", ({ since }) => since ? ago(since) : "—"),
      number("Groups", (connection) => count(connection.group_count)),
      number("Waiting", (connection) => bytes(connection.queued_bytes)),
      whole("Limits", ({ slowed_down: it }) => (it?.now ? "slowed down" : "")),
    ],
    key: ({ hub, id, node }) => JSON.stringify([hub, id, node]),
    empty: "No connection fits.",
  });
  #poll;

  /** `onAnswer` gets what was missed, `onError` an error or null. */
  constructor({ onAnswer, onError }) {
    this.#poll = new Poll(PERIOD_MS, async (signal) => {
      const answer = await get("connections", { ...this.#query, limit: this.#limit }, signal);
      this.#show(answer);
      onAnswer(answer);
    }, onError);
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const given = FIELDS.map((field) => [field, this.#field(field).value.trim()]).filter(([, value]) => value);
      const next = given.length > 0 ? `#/connections?${new URLSearchParams(given)}` : "#/connections";
      if (location.hash === next) this.#poll.start();
      else location.hash = next;
    });
    byId("more").addEventListener("click", () => {
      this.#limit = MOST;
      this.#poll.start();
    });
  }

  enter({ query }) {
    const asked = JSON.stringify(this.#query);
    this.#query = Object.fromEntries(FIELDS.map((field) => [field, query.get(field) ?? ""]));
    if (JSON.stringify(this.#query) !== asked) this.#clear();
    this.#chosenNode(this.#query.node);
    for (const field of FIELDS) this.#field(field).value = this.#query[field];
    byId("back").href = location.hash;
    this.#poll.start();
  }

  leave() {
    this.#poll.stop();
  }

  /** The nodes that may be chosen. */
  nodes(addresses) {
    const select = this.#field("node");
    const chosen = select.value;
    const kept = new Set(["", ...addresses, ...(chosen ? [chosen] : [])]);
    reconcile(select, kept, (address) => element("option", { value: address }, address || "All"), () => {});
  }

  /** What is shown is the answer to another search. */
  #clear() {
    this.#limit = FEW;
    this.#table.clear();
    setText(byId("found"), "Searching…");
    byId("more").hidden = true;
  }

  #chosenNode(address) {
    const select = this.#field("node");
    if (address && ![...select.options].some(({ value }) => value === address)) {
      const option = element("option", { value: address }, address);
      option.dataset.key = address;
      select.append(option);
    }
  }

  #field(field) {
    return byId("search").elements.namedItem(field);
  }

  #show({ connections, more }) {
    this.#table.show(connections);
    const total = `${count(connections.length)} ${connections.length === 1 ? "connection" : "connections"}`;
    const rest = this.#limit === MOST ? "; there are more: narrow the search" : "; there are more";
    setText(byId("found"), more ? `The first ${total}${rest}` : total);
    byId("more").hidden = !more || this.#limit === MOST;
  }
}
