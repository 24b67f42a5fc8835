// One conversation: everyone, a room or one person. It owns its messages on the
// screen and knows which of the visitor's own are still unconfirmed.

import { avatar, byId, element } from "./dom.js";
import { HERE, nodeName } from "./nodes.js";

export const LOBBY = "lobby";
const KEPT = 500;
const LONGEST_SHOWN = 20_000;
const GROUPED_WITHIN_MS = 2 * 60_000;
const NEAR_END_PX = 80;
// Most messages are confirmed sooner; a word that flashes by only disturbs.
const SLOW_MS = 700;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

export class Conversation {
  #unconfirmed = [];
  #last = null;
  #atEnd = true;

  unread = 0;
  draft = "";
  joined = false;

  /** `kind` is "group" or "user"; `name` is the group or the other person. */
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.key = conversationKey(kind, name);
    this.isLobby = kind === "group" && name === LOBBY;
    this.title = this.isLobby ? "Everyone" : kind === "group" ? `#${name}` : name;
    this.log = element("div", {
      className: "log",
      role: "log",
      tabIndex: 0,
      "aria-live": "polite",
      "aria-label": `Messages: ${this.title}`,
    });
    this.empty = element("div", { className: "empty" });
    this.element = element("section", { className: "conversation", hidden: true }, this.empty, this.log);
    this.log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.scrollToEnd({ onlyIfThere: true })).observe(this.log);
  }

  get isAtEnd() {
    return this.#atEnd;
  }

  /** `node` is where the sender is, as far as that is known. */
  addMessage({ from, own, text, node = HERE, state = "sent" }) {
    const at = new Date();
    this.#dayLine(at);
    const same = this.#last?.from === from && this.#last.node === node;
    const continued = same && at - this.#last.at < GROUPED_WITHIN_MS;
    const message = { text, state, ...messageElement({ from, own, text, node, at, continued }) };
    if (state === "pending") this.#unconfirmed.push(message);
    this.#show(message);
    this.#last = { from, node, at };
    this.#append(message.element);
    return message;
  }

  addNotice(text) {
    this.#last = null;
    this.#append(element("p", { className: "notice" }, text));
  }

  /** The visitor's own message came back: the oldest that waits for it is confirmed. */
  confirm(text) {
    const found = this.#unconfirmed.find((message) => message.text === text);
    if (!found) return false;
    this.settle(found, "sent");
    return true;
  }

  /**
   * Ends the wait for a message. One that timed out may still come back late, so
   * it stays on the list; `retry` is offered for whatever failed.
   */
  settle(message, state, { explanation = "", late = false, retry = null } = {}) {
    const listed = state === "pending" || late;
    this.#unconfirmed = this.#unconfirmed.filter((other) => other !== message);
    if (listed) this.#unconfirmed.push(message);
    Object.assign(message, { state, explanation, retry });
    this.#show(message);
    this.scrollToEnd({ onlyIfThere: true });
  }

  scrollToEnd({ onlyIfThere = false } = {}) {
    if (onlyIfThere && !this.#atEnd) return;
    this.log.scrollTop = this.log.scrollHeight;
    this.#atEnd = true;
  }

  #append(child) {
    this.empty.hidden = true;
    this.log.append(child);
    while (this.log.childElementCount > KEPT) this.log.firstElementChild.remove();
    this.scrollToEnd({ onlyIfThere: true });
  }

  #dayLine(at) {
    const changed = this.#last && this.#last.at.toDateString() !== at.toDateString();
    if (changed) this.addNotice(calendar.format(at));
  }

  #show(message) {
    const { element: shown, delivery, state, explanation, retry } = message;
    shown.dataset.state = state;
    delivery.replaceChildren();
    const slow = () => message.state === "pending" && delivery.replaceChildren("Sending…");
    if (state === "pending") setTimeout(slow, SLOW_MS);
    if (state !== "failed") return;
    delivery.append(explanation);
    if (retry) delivery.append(" ", element("button", { type: "button", className: "link", onclick: retry }, "Try again"));
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.#atEnd) byId("latest").hidden = true;
  }
}

export function conversationKey(kind, name) {
  return `${kind}:${name}`;
}

function messageElement({ from, own, text, node, at, continued }) {
  const who = element("p", { className: "sender" }, element("bdi", {}, own ? "You" : from), crossed(node));
  const bubble = element("div", { className: "bubble", dir: "auto" }, shorten(text));
  const time = element("time", { dateTime: at.toISOString(), title: at.toLocaleString() }, clock.format(at));
  const delivery = element("span", { className: "delivery" });
  const foot = element("p", { className: "foot" }, time, " ", delivery);
  const body = element("div", { className: "body" }, who, bubble, foot);
  const classes = ["message", own && "own", continued && "continued"].filter(Boolean).join(" ");
  return { element: element("article", { className: classes }, avatar(from), body), delivery };
}

/** A mark on what came over the link from another node. */
function crossed(node) {
  if (!node || node === HERE) return null;
  const title = `Sent on ${nodeName(node)}; it came here over the link between the nodes`;
  return element("span", { className: "crossed", title }, nodeName(node));
}

function shorten(text) {
  if (text.length <= LONGEST_SHOWN) return text;
  return `${text.slice(0, LONGEST_SHOWN)}… (${text.length - LONGEST_SHOWN} more characters)`;
}
