// The views that are one list each: groups, event handlers, refusals.

import { get } from "./api.js";
import { byId } from "./dom.js";
import { count, moment } from "./format.js";
import { Poll } from "./poll.js";
import { badge, name, number, Table, whole } from "./table.js";

const PERIOD_MS = 3_000;
// Each node looks at all of its connections.
const GROUPS_PERIOD_MS = 10_000;
const MOST = 200;

class List {
  #poll;

  constructor({ path, periodMs = PERIOD_MS, query = {}, rows, table, onAnswer, onError }) {
    const shown = new Table(byId(`${path}-table`), table);
    this.#poll = new Poll(periodMs, async (signal) => {
      const answer = await get(path, query, signal);
      shown.show(rows(answer));
      onAnswer(answer);
    }, onError);
  }

  enter() {
    this.#poll.start();
  }

  leave() {
    this.#poll.stop();
  }
}

export const groups = (reports) => new List({
  ...reports,
  path: "groups",
  periodMs: GROUPS_PERIOD_MS,
  query: { limit: MOST },
  rows: ({ groups: found }) => found,
  table: {
    caption: "Groups by size",
    columns: [
      name("Group", ({ group }) => group, ({ hub, group }) => `#/connections?${new URLSearchParams({ group, hub })}`),
      name("Hub", ({ hub }) => hub),
      number("Members", ({ members }) => count(members)),
    ],
    key: ({ hub, group }) => JSON.stringify([hub, group]),
    empty: "No client is in a group.",
  },
});

export const handlers = (reports) => new List({
  ...reports,
  path: "handlers",
  rows: ({ handlers: found }) => found,
  table: {
    caption: "Event handlers",
    columns: [
      name("URL", ({ url }) => url),
      whole("Node", ({ node }) => node),
      name("Hub", ({ hub }) => hub),
      badge("State", handlerState, handlerTone),
      number("Queued", ({ queued }) => count(queued)),
      number("Succeeded", ({ succeeded }) => count(succeeded)),
      number("Failed", ({ failed }) => count(failed)),
      name("Last error", lastError),
    ],
    key: ({ node, hub, url }) => JSON.stringify([node, hub, url]),
    empty: "No event handler is configured.",
  },
});

function handlerState({ state, breaker }) {
  return breaker === "closed" ? state : `${state}, breaker ${breaker}`;
}

function handlerTone({ state, breaker }) {
  if (breaker !== "closed") return "bad";
  return { answering: "good", failing: "warn" }[state] ?? "";
}

function lastError({ last_error: error, last_error_at: at }) {
  return error ? `${moment(at)}: ${error}` : "";
}

export const refusals = (reports) => new List({
  ...reports,
  path: "refusals",
  rows: ({ refusals: found }) => [...found].sort((a, b) => b.at - a.at),
  table: {
    caption: "Refusals",
    columns: [
      whole("Time", ({ at }) => moment(at)),
      badge("What", ({ what }) => what.replaceAll("_", " "), () => "warn"),
      name("Reason", ({ reason }) => reason),
      whole("Address", ({ address }) => address ?? ""),
      name("Hub", ({ hub }) => hub),
      whole("Node", ({ node }) => node),
    ],
    key: ({ node, at, what, address }, position) => JSON.stringify([node, at, what, address, position]),
    empty: "Nobody has been refused.",
  },
});
