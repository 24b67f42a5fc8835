// A conversation with everyone, a room or one person. Owns its messages on the
// screen, and knows which of the visitor's own are not confirmed yet.

import { avatar, byId, element } from "./dom.js";
import { HERE, nodeName } from "./nodes.js";

export const LOBBY = "lobby";
const MAX_MESSAGES = 500;
const MAX_SHOWN = 20_000;
const GROUPED_WITHIN_MS = 2 * 60_000;
const NEAR_END_PX = 80;
// Most messages are confirmed sooner, and a label that flashes is distracting.
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

  /** `node` is the sender's node, if it is known. */
  addMessage({ from, own, text, node = HERE, state = "sent" }) {
    const at = new Date();
    this.#addDate(at);
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

  /** Confirms the visitor's oldest pending message with this text, which has come back. */
  confirm(text) {
    const found = this.#unconfirmed.find((message) => message.text === text);
    if (!found) return false;
    this.settle(found, "sent");
    return true;
  }

  /**
   * Changes the state of a message. A message that timed out stays unconfirmed,
   * because it may still come back. `retry` is offered if it failed.
   */
  settle(message, state, { explanation = "", late = false, retry = null } = {}) {
    const unconfirmed = state === "pending" || late;
    this.#unconfirmed = this.#unconfirmed.filter((other) => other !== message);
    if (unconfirmed) this.#unconfirmed.push(message);
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
    while (this.log.childElementCount > MAX_MESSAGES) this.log.firstElementChild.remove();
    this.scrollToEnd({ onlyIfThere: true });
  }

  #addDate(at) {
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

/** The badge of a message from another node. */
function crossed(node) {
  if (!node || node === HERE) return null;
  const title = `Sent on ${nodeName(node)} and received over the link between the nodes`;
  return element("span", { className: "crossed", title }, nodeName(node));
}

function shorten(text) {
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}… (${text.length - MAX_SHOWN} more characters)`;
}
