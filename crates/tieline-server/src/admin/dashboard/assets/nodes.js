// The nodes: what they hold and do, a minute of it as curves, and the links between them.

import { byId, child, element, reconcile, setText } from "./dom.js";
import { bytes, count, duration, perSecond, short } from "./format.js";
import { badge, name, number, Table, text } from "./table.js";

const KEPT = 60;
const SVG = "http://www.w3.org/2000/svg";

const sum = (nodes, value) => nodes.reduce((total, node) => total + value(node), 0);
const largest = (nodes, value) => Math.max(0, ...nodes.map(value));

/** The name of a node: one without a cluster has no address for others. */
export const nodeName = ({ address }) => address || "this node";

const TOTALS = [
  { label: "Nodes", of: (nodes) => nodes.length, show: count },
  { label: "Connections", of: (nodes) => sum(nodes, (node) => node.connections), show: short, curve: true },
  { label: "Messages in/s", of: (nodes) => sum(nodes, (node) => node.messages_in_per_second), show: perSecond, curve: true },
  { label: "Messages out/s", of: (nodes) => sum(nodes, (node) => node.messages_out_per_second), show: perSecond, curve: true },
  { label: "Waiting for clients", of: (nodes) => sum(nodes, (node) => node.outbox_bytes), show: bytes, curve: true },
  { label: "Largest outbox", of: (nodes) => largest(nodes, (node) => node.largest_outbox), show: bytes },
];

export class Nodes {
  #curves = new Map(TOTALS.map(({ label }) => [label, []]));
  #table = new Table(byId("nodes-table"), {
    caption: "Nodes of the cluster",
    columns: [
      { ...name("Node", nodeName, ({ address }) => `#/connections?${new URLSearchParams({ node: address ?? "" })}`) },
      badge("State", (node) => state(node), tone),
      text("Version", ({ version }) => version),
      text("Uptime", ({ uptime }) => duration(uptime)),
      number("Connections", ({ connections }) => count(connections)),
      number("Users", ({ users }) => count(users)),
      number("Groups", ({ groups }) => count(groups)),
      number("In/s", (node) => perSecond(node.messages_in_per_second)),
      number("Out/s", (node) => perSecond(node.messages_out_per_second)),
      number("Waiting", (node) => bytes(node.outbox_bytes)),
      number("Queued", (node) => count(node.queue_depth)),
    ],
    key: nodeName,
    empty: "No node has answered yet.",
  });

  /** A snapshot of all nodes that answered. */
  show(nodes) {
    const sorted = [...nodes].sort((a, b) => nodeName(a).localeCompare(nodeName(b), "en", { numeric: true }));
    this.#totals(sorted);
    this.#table.show(sorted);
    this.#matrix(sorted);
  }

  #totals(nodes) {
    const byLabel = new Map(TOTALS.map((total) => [total.label, total]));
    reconcile(byId("totals"), byLabel.keys(), () => element("li"), (tile, label) => {
      const { of, show, curve } = byLabel.get(label);
      const value = of(nodes);
      setText(child(tile, "span", "value"), show(value));
      setText(child(tile, "span", "label"), label);
      if (curve) draw(tile, this.#past(label, value));
    });
  }

  #past(label, value) {
    const values = this.#curves.get(label);
    values.push(value);
    if (values.length > KEPT) values.shift();
    return values;
  }

  #matrix(nodes) {
    const addresses = nodes.map(({ address }) => address).filter(Boolean);
    const known = new Set(addresses);
    const others = nodes.flatMap(({ links }) => links.map(({ address }) => address)).filter((address) => !known.has(address));
    const columns = [...addresses, ...new Set(others)];
    byId("links").hidden = columns.length < 2;
    if (columns.length < 2) return;
    const rows = nodes.filter(({ address }) => address);
    const lines = new Map([["", null], ...rows.map((node) => [node.address, node])]);
    reconcile(byId("matrix"), lines.keys(), () => element("tr"), (line, key) => {
      const node = lines.get(key);
      reconcile(line, ["", ...columns], (column) => head(key, column), (cell, column) => {
        if (node && column) linkTo(cell, node, column);
      });
    });
  }
}

function state({ is_self: isSelf, phase, registry }) {
  const words = [phase.replaceAll("_", " ")];
  if (registry === "down") words.push("no registry");
  if (isSelf) words.push("this node");
  return words.join(", ");
}

function tone({ phase, registry }) {
  if (registry === "down") return "bad";
  return phase === "serving" ? "good" : "warn";
}

function head(row, column) {
  if (!row && !column) return element("td");
  if (row && column) return element("td");
  return element("th", { scope: row ? "row" : "col" }, element("bdi", {}, row || column));
}

function linkTo(cell, node, column) {
  const link = node.links.find(({ address }) => address === column);
  const isUp = link?.state === "up";
  cell.dataset.tone = node.address === column || !link ? "none" : isUp ? "good" : "bad";
  if (node.address === column) return setText(cell, "");
  if (!link) return setText(cell, "no link");
  const time = link.round_trip_ms === null || link.round_trip_ms === undefined ? "" : ` ${milliseconds(link.round_trip_ms)}`;
  const queued = link.queued_bytes > 0 ? `, ${bytes(link.queued_bytes)} queued` : "";
  return setText(cell, `${link.state}${time}${queued}`);
}

const milliseconds = (value) => (value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`);

/** Draws values as a curve from zero. It repeats in form what the number next to it says. */
function draw(tile, values) {
  let svg = tile.querySelector("svg");
  if (!svg) {
    svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("viewBox", `0 0 ${KEPT - 1} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.append(document.createElementNS(SVG, "polyline"));
    tile.append(svg);
  }
  const top = Math.max(1, ...values);
  const first = KEPT - values.length;
  const points = values.map((value, position) => `${first + position},${(19 - (18 * value) / top).toFixed(2)}`);
  svg.firstChild.setAttribute("points", points.join(" "));
}
