// The state of the connection: a label in the bar and, if something is wrong, a
// banner with the cause, the time until the next attempt, and a button.

import { REPLACED } from "./client.js";
import { byId } from "./dom.js";

const LABELS = {
  connecting: "Connecting",
  connected: "Connected",
  waiting: "Reconnecting",
  refused: "Not connected",
};
// If the first attempt takes longer than this, the banner appears.
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

  /** Shows a state of the session. Returns a sentence to announce, or "". */
  show({ state, retryAt, reason, code, again }) {
    clearTimeout(this.#timer);
    const pill = byId("status");
    const reconnecting = state === "connecting" && this.#failed;
    pill.dataset.state = reconnecting ? "waiting" : state;
    pill.textContent = reconnecting ? LABELS.waiting : LABELS[state];
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
    return again ? "Reconnected." : "Connected.";
  }

  #connecting() {
    if (this.#failed) {
      this.#banner("Reconnecting…", "");
      return;
    }
    this.#timer = setTimeout(() => this.#banner("Connecting is taking longer than usual…", ""), SHORT_MS);
  }

  #explain(state, code, reason) {
    if (code === REPLACED) return "This name is now connected from elsewhere.";
    const cause = reason ? `: ${reason.replace(/\.+$/u, "")}.` : ".";
    if (state === "refused") return `The server refused the connection${cause}`;
    if (reason) return `The server closed the connection${cause}`;
    return this.#everConnected ? "The connection was lost." : "Cannot reach the server.";
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
