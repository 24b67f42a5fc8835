// What the node sends by itself, over one WebSocket that is opened again when it is lost.

import { get } from "./api.js";
import { token } from "./token.js";

const PROTOCOL = "tieline.live";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

export class Live {
  #socket = null;
  #waitMs = FIRST_WAIT_MS;
  #timer;
  #onNodes;
  #onState;

  /** `onState` gets "connecting", "live" or "lost". */
  constructor({ onNodes, onState }) {
    this.#onNodes = onNodes;
    this.#onState = onState;
  }

  async open() {
    this.close();
    this.#onState("connecting");
    try {
      // A browser does not say why a WebSocket was refused, so this finds out first; and it shows the nodes at once.
      this.#onNodes(await get("nodes"));
    } catch {
      this.#retry();
      return;
    }
    const address = new URL("api/live", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, protocols());
    this.#socket = socket;
    socket.onopen = () => {
      this.#waitMs = FIRST_WAIT_MS;
      this.#onState("live");
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => socket === this.#socket && this.#retry();
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #receive(message) {
    if (message.nodes) this.#onNodes(message);
  }

  #retry() {
    this.#onState("lost");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), this.#waitMs);
    this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
  }
}

/** A page cannot set headers of a WebSocket, so the token is in a second protocol. */
function protocols() {
  if (!token()) return [PROTOCOL];
  const encoded = btoa(token()).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/u, "");
  return [PROTOCOL, `bearer.${encoded}`];
}
