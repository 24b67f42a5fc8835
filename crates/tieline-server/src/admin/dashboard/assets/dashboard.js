// The page: which view is shown, and what all views share. The address after # says what is shown, so that the
// browser's history works and an address can be passed on.

import { Connection } from "./connection.js";
import { Connections } from "./connections.js";
import { byId, setText } from "./dom.js";
import { Live } from "./live.js";
import { groups, handlers, refusals } from "./lists.js";
import { Nodes } from "./nodes.js";
import { forget, token } from "./token.js";

const STATES = { connecting: "Connecting", live: "Live", lost: "Reconnecting" };

const reports = { onAnswer: ({ missed }) => showMissed(missed ?? []), onError: showProblem };
const nodes = new Nodes();
const connections = new Connections(reports);
const views = {
  nodes: { enter() {}, leave() {} },
  connections,
  connection: new Connection(reports),
  groups: groups(reports),
  handlers: handlers(reports),
  refusals: refusals(reports),
};
let shown = null;
const live = new Live({
  onNodes({ nodes: snapshot, missed, read_only: isReadOnly }) {
    nodes.show(snapshot);
    connections.nodes(snapshot.map(({ address }) => address).filter(Boolean));
    if (shown === "nodes") reports.onAnswer({ missed });
    byId("forget").hidden = !token();
    byId("read-only").hidden = !isReadOnly;
    byId("actions").hidden = isReadOnly;
  },
  onState(state) {
    const pill = byId("status");
    pill.dataset.state = state;
    setText(pill, STATES[state]);
    if (shown === "nodes") showProblem(state === "lost" ? { message: "Cannot reach the node. What is shown is old." } : null);
  },
});

/** "#/connections/hub/id?…" as the name of a view, further parts of the path, and a query. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/u, "").split("?", 2);
  const parts = path.split("/").map(decoded);
  const [view, ...rest] = parts;
  if (view === "connections" && rest.length === 2) return { view: "connection", path: rest };
  const known = Object.hasOwn(views, view) && view !== "connection";
  return { view: known ? view : "nodes", path: [], query: new URLSearchParams(query) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show() {
  const next = route();
  if (shown) views[shown].leave();
  const isFirst = shown === null;
  shown = next.view;
  showMissed([]);
  showProblem(null);
  for (const name of Object.keys(views)) byId(name).hidden = name !== shown;
  const tab = shown === "connection" ? "connections" : shown;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash !== `#/${tab}`) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  document.title = `${byId(`${tab}-title`).textContent} · Tieline dashboard`;
  views[shown].enter(next);
  if (isFirst) return;
  // Who does not see the page hears its new heading.
  byId("view").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function showMissed(missed) {
  const notice = byId("missed");
  notice.hidden = missed.length === 0;
  setText(notice, missed.length === 0 ? "" : `No answer from ${missed.join(", ")}: what they have is missing here.`);
}

function showProblem(error) {
  const notice = byId("problem");
  notice.hidden = !error;
  setText(notice, error?.message ?? "");
}

document.querySelector(".skip").addEventListener("click", (event) => {
  // What follows # is the view.
  event.preventDefault();
  byId("view").focus();
});
byId("forget").addEventListener("click", () => {
  forget();
  location.reload();
});
addEventListener("hashchange", show);
show();
live.open();
