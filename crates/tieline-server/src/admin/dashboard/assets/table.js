// A table that is updated in place, and whose rows become cards on a narrow screen. The roles are said explicitly,
// because browsers drop those of tables that are not laid out as tables.

import { element, reconcile, setText } from "./dom.js";
import { visible } from "./format.js";

export class Table {
  #columns;
  #key;
  #body = element("tbody", { role: "rowgroup" });
  #table;
  #empty;

  /**
   * `columns` are `{ label, className?, fill(cell, row) }`; the first one names the row. `key` identifies rows.
   */
  constructor(host, { caption, columns, key, empty }) {
    this.#columns = columns;
    this.#key = key;
    const heads = columns.map(({ label, className = "" }) =>
      element("th", { scope: "col", role: "columnheader", className }, label));
    this.#table = element("table", { role: "table", className: "cards", hidden: true },
      element("caption", { className: "sr-only" }, caption),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
      this.#body);
    this.#empty = element("p", { className: "empty", hidden: true }, empty);
    host.append(this.#table, this.#empty);
  }

  /** Shows neither rows nor that there are none: it is not known yet. */
  clear() {
    this.#body.replaceChildren();
    this.#table.hidden = true;
    this.#empty.hidden = true;
  }

  show(rows) {
    const byKey = new Map(rows.map((row, position) => [this.#key(row, position), row]));
    this.#table.hidden = rows.length === 0;
    this.#empty.hidden = rows.length > 0;
    reconcile(this.#body, byKey.keys(), () => this.#row(), (line, key) => {
      this.#columns.forEach(({ fill }, column) => fill(line.children[column], byKey.get(key)));
    });
  }

  #row() {
    const cells = this.#columns.map(({ label, className = "" }, column) => {
      const [tag, more] = column === 0 ? ["th", { scope: "row", role: "rowheader" }] : ["td", { role: "cell" }];
      return element(tag, { className, "data-label": label, ...more });
    });
    return element("tr", { role: "row" }, ...cells);
  }
}

/** A column of plain text. */
export const text = (label, value, className = "") => ({
  label,
  className,
  fill: (cell, row) => setText(cell, value(row)),
});

/** A column of addresses and times, which stay on one line where there is room. */
export const whole = (label, value) => text(label, value, "whole");

/** A column of numbers. */
export const number = (label, value) => text(label, value, "number");

/** A column of names that clients have thought up, which are kept apart from the direction of the page's text. */
export const name = (label, value, href = null) => ({
  label,
  className: "name",
  fill(cell, row) {
    if (!cell.firstElementChild) {
      const inner = element("bdi");
      cell.append(href ? element("a", {}, inner) : inner);
    }
    if (href) cell.firstElementChild.setAttribute("href", href(row));
    setText(cell.querySelector("bdi"), visible(value(row)) || "—");
  },
});

/** A column of words with a color: `tone` says which, "good", "warn", "bad" or "". */
export const badge = (label, value, tone) => ({
  label,
  fill(cell, row) {
    const mark = cell.firstElementChild ?? cell.appendChild(element("span", { className: "badge" }));
    setText(mark, value(row));
    mark.dataset.tone = tone(row);
  },
});
