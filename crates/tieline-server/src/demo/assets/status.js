// The connection as the visitor sees it: a word in the bar and, when something
// is wrong, a line that says what, until when, and what can be done.

import { REPLACED } from "./client.js";
import { byId } from "./dom.js";

const WORDS = {
  connecting: "Connecting",
  connected: "Connected",
  waiting: "Reconnecting",
  refused: "Not connected",
};
// A first attempt that takes longer than this deserves a line of its own.
const SHORT_MS = 2_000;

export class Status {
  #everConnected = false;
  #failed = false;
  #timer;

  constructor(tryNow) {
    byId("now").addEventListener("click", () => {
      byId("text").focus();
      tryNow();
    });
  }

  /** Shows a state of the session; returns a sentence to announce, or "". */
  show({ state, retryAt, reason, code, again }) {
    clearTimeout(this.#timer);
    const pill = byId("status");
    const reconnecting = state === "connecting" && this.#failed;
    pill.dataset.state = reconnecting ? "waiting" : state;
    pill.textContent = reconnecting ? WORDS.waiting : WORDS[state];
    if (state === "connected") return this.#connected(again);
    if (state === "connecting") {
      this.#connecting();
      return "";
    }
    const first = !this.#failed;
    this.#failed = true;
    const text = this.#explain(state, code, reason);
    this.#banner(text, state === "refused" ? "Connect here" : "Try now");
    if (state === "waiting") this.#count(retryAt);
    return first || state === "refused" ? text : "";
  }

  #connected(again) {
    byId("banner").hidden = true;
    this.#everConnected = true;
    this.#failed = false;
    return again ? "Connected again." : "Connected.";
  }

  #connecting() {
    if (this.#failed) {
      this.#banner("Reconnecting…", "");
      return;
    }
    this.#timer = setTimeout(() => this.#banner("Connecting takes longer than usual…", ""), SHORT_MS);
  }

  #explain(state, code, reason) {
    if (code === REPLACED) return "Somebody connected under this name elsewhere.";
    const said = reason ? ` It said: “${reason}”.` : "";
    if (state === "refused") return `The server refused the connection.${said}`;
    if (reason) return `The server closed the connection.${said}`;
    return this.#everConnected ? "The connection was lost." : "The server cannot be reached.";
  }

  #banner(text, action) {
    byId("banner-text").textContent = text;
    byId("countdown").textContent = "";
    byId("now").textContent = action;
    byId("now").hidden = !action;
    byId("banner").hidden = false;
  }

  #count(retryAt) {
    const seconds = Math.max(1, Math.ceil((retryAt - performance.now()) / 1000));
    byId("countdown").textContent = `Reconnecting in ${seconds} s.`;
    this.#timer = setTimeout(() => this.#count(retryAt), 250);
  }
}
