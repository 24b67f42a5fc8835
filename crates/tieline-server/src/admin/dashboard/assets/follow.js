// One client followed live: the events of /api/follow, the latest first.

import { lines } from "./api.js";
import { byId, element, setText } from "./dom.js";
import { bytes, count, slowed, visible } from "./format.js";
import { explained } from "./poll.js";

// What is older is dropped, also while the list is paused.
const MOST = 500;

const KINDS = {
  following: ["node", ""],
  present: ["connected", "good"],
  connected: ["connected", "good"],
  received: ["from client", "in"],
  sent: ["to client", "out"],
  joined: ["joined", ""],
  left: ["left", ""],
  refused: ["refused", "bad"],
  slowed_down: ["slowed down", "warn"],
  not_reached: ["not reached", "bad"],
  closed: ["closed", "warn"],
  not_followed: ["not followed", "warn"],
  missed: ["missing", "warn"],
  node_missed: ["no answer", "bad"],
  ended: ["ended", ""],
};

export class Follow {
  #hub;
  #id;
  #user = null;
  #abort = null;
  #paused = [];
  #isPaused = false;
  // Events that are shown.
  #shown = 0;

  constructor() {
    byId("follow-toggle").addEventListener("click", () => (this.#abort ? this.stop("Stopped.") : this.#start()));
    byId("follow-pause").addEventListener("click", () => this.#pause(!this.#isPaused));
    byId("follow-user").addEventListener("change", () => this.#abort && this.#start());
  }

  /** The connection that the page shows. */
  enter(hub, id) {
    this.#hub = hub;
    this.#id = id;
    byId("follow-user").checked = false;
    this.user(null);
    this.#clear();
    this.stop("");
  }

  /** Its user, once that is known. */
  user(user) {
    this.#user = user;
    byId("follow-all").hidden = !user;
  }

  stop(text) {
    this.#abort?.abort();
    this.#abort = null;
    this.#pause(false);
    this.#show(text);
  }

  async #start() {
    this.stop("");
    this.#clear();
    const abort = new AbortController();
    this.#abort = abort;
    this.#show("Asking the nodes…");
    const whom = byId("follow-user").checked ? { user: this.#user } : { id: this.#id };
    let ended = "The node has ended the answer.";
    try {
      await lines("follow", { hub: this.#hub, ...whom }, abort.signal, (event) => {
        if (event.what === "ended") ended = sentence(event.message);
        this.#add(event);
      });
    } catch (error) {
      ended = explained(error).message;
    }
    // Somebody may have stopped it, or begun anew.
    if (this.#abort === abort) this.stop(ended);
  }

  #add(event) {
    if (this.#shown + this.#paused.length === 0) this.#show("Following.");
    this.#paused.push(event);
    if (this.#paused.length > MOST) this.#paused.shift();
    if (this.#isPaused) this.#label();
    else this.#flush();
  }

  #flush() {
    const list = byId("follow-events");
    list.prepend(...this.#paused.reverse().map(row));
    this.#paused = [];
    while (list.childElementCount > MOST) list.lastElementChild.remove();
    this.#shown = list.childElementCount;
    byId("follow-log").hidden = this.#shown === 0;
  }

  #pause(isPaused) {
    this.#isPaused = isPaused;
    if (!isPaused) this.#flush();
    this.#label();
  }

  #label() {
    const waiting = this.#paused.length > 0 ? ` (${count(this.#paused.length)} new)` : "";
    setText(byId("follow-pause"), this.#isPaused ? `Resume${waiting}` : "Pause");
  }

  #clear() {
    this.#paused = [];
    byId("follow-events").replaceChildren();
    this.#flush();
  }

  #show(text) {
    const isOn = this.#abort !== null;
    setText(byId("follow-toggle"), isOn ? "Stop" : "Follow");
    byId("follow-pause").hidden = !isOn;
    setText(byId("follow-state"), text);
  }
}

function row(event) {
  const [word, tone] = event.what === "handled" ? handled(event) : KINDS[event.what] ?? [event.what, ""];
  const payload = event.text ?? event.base64;
  return element("li", {},
    element("span", { className: "time" }, clock(event.at)),
    element("span", {}, element("span", { className: "badge", "data-tone": tone }, word)),
    element("span", { className: "what" },
      element("bdi", {}, visible(described(event))),
      ...(payload ? [element("code", {}, visible(payload))] : [])),
    element("span", { className: "where" }, element("bdi", {}, visible([event.node, event.id].filter(Boolean).join(" · ")))));
}

const handled = ({ ok }) => (ok ? ["handled", "good"] : ["not handled", "bad"]);

/** An event in words, beside its kind. */
function described(event) {
  switch (event.what) {
    case "following":
      return `tells what happens; it has ${event.connections} of the connections`;
    case "present":
    case "connected":
      return [event.user && `as ${event.user}`, event.address && `from ${event.address}`].filter(Boolean).join(" ");
    case "received":
    case "sent":
      return framed(event);
    case "joined":
    case "left":
      return event.group;
    case "refused":
      return `${event.error}: ${event.message}`;
    case "handled":
      return `${event.event}, ${event.ms} ms${event.message ? `: ${event.message}` : ""}`;
    case "slowed_down":
      return slowed(event);
    case "not_reached":
      return `${event.peer}: ${event.message}`;
    case "closed":
      return event.reason;
    case "not_followed":
      return "as many connections of the user are followed as may be";
    case "missed":
      return `${count(event.count)} events are not shown`;
    default:
      return event.message ?? "";
  }
}

/** A frame in the words of its wire, if it has some. */
function framed({ type, frame, from, group, event, ack_id: ack, success, error, bytes: size }) {
  const outcome = { true: "ok", false: `failed ${error ?? ""}`.trim() }[success];
  const kind = type && frame === "fragment" ? `fragment of ${type}` : (type ?? frame);
  const words = [kind, from && `from ${from}`, group, event, ack !== undefined && `ack ${ack}`, outcome];
  return `${words.filter(Boolean).join(" ")}, ${bytes(size)}`;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** The time of day here, with milliseconds. */
function clock(at) {
  const date = new Date(at);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
