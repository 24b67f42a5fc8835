// A client of the hub. Reconnects automatically, settles every request, and
// reports its state. Knows the protocol; must not know the page.
//
// Events: "state" with {state, retryAt, reason, code}, and "frame" with each
// frame that is not an ack, a pong or a system frame.
//
// States: "connecting" → "connected" → "waiting" (for the next attempt) → …,
// "refused" (the server rejected this client; only the visitor can try again)
// and "closed".

const SUBPROTOCOL = "json.webpubsub.azure.v1";
const ACK_MS = 10_000;
const OPEN_MS = 10_000;
const PING_MS = 20_000;
const PONG_MS = 15_000;
// Detects a dead socket quickly after sleep, or when the browser is online again.
const PROBE_MS = 4_000;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 10_000;
// A connection that ends sooner than this does not reset the backoff.
const STABLE_MS = 5_000;

const POLICY_VIOLATION = 1008;
export const REPLACED = 4409;

export class RequestError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

export class Client extends EventTarget {
  #address;
  #socket = null;
  #state = "closed";
  #attempt = 0;
  #connectedAt = 0;
  #disconnectReason = "";
  #pending = new Map();
  #nextAckId = 1;
  #retryTimer;
  #openTimer;
  #pingTimer;
  #silenceTimer;
  #listening = new AbortController();

  connectionId = "";
  userId = "";

  /** `address` is an async function that returns the URL to connect to, with a fresh token. */
  constructor(address) {
    super();
    this.#address = address;
  }

  get state() {
    return this.#state;
  }

  start() {
    const { signal } = this.#listening;
    addEventListener("online", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
    this.#connect();
  }

  stop() {
    this.#listening.abort();
    this.#detach()?.close(1000);
    this.#enter("closed");
  }

  reconnectNow() {
    if (this.#state === "waiting" || this.#state === "refused") this.#connect();
  }

  /** Sends a frame. Resolves when the server confirms it, and rejects with a RequestError otherwise. */
  request(frame) {
    if (this.#state !== "connected") {
      return Promise.reject(new RequestError("Disconnected", "Not connected."));
    }
    const ackId = this.#nextAckId++;
    return new Promise((resolve, reject) => {
      const timeout = new RequestError("Timeout", "The server did not confirm the message in time.");
      const timer = setTimeout(() => this.#settle(ackId, timeout), ACK_MS);
      this.#pending.set(ackId, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ ...frame, ackId }));
    });
  }

  /** Sends a frame that needs no reply. Does nothing if not connected. */
  send(frame) {
    if (this.#state === "connected") this.#socket.send(JSON.stringify(frame));
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#disconnectReason = "";
    const request = new AbortController();
    // Stands for the socket until there is an address.
    const opening = { close: () => request.abort() };
    this.#socket = opening;
    this.#openTimer = setTimeout(() => this.#drop(), OPEN_MS);
    this.#enter("connecting");
    const ifCurrent = (handle) => (value) => opening === this.#socket && handle(value);
    this.#address(request.signal).then(
      ifCurrent((address) => this.#open(address)),
      ifCurrent(() => this.#lost(1006, "")),
    );
  }

  #open(address) {
    const socket = new WebSocket(address, SUBPROTOCOL);
    this.#socket = socket;
    // Ignores events of a socket that was abandoned.
    const ifCurrent = (handle) => (event) => socket === this.#socket && handle(event);
    socket.onmessage = ifCurrent((event) => this.#receive(event.data));
    socket.onclose = ifCurrent((event) => this.#lost(event.code, event.reason));
  }

  #receive(data) {
    clearTimeout(this.#silenceTimer);
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    switch (frame?.type) {
      case "system":
        this.#system(frame);
        break;
      case "ack":
        this.#settle(frame.ackId, ackError(frame));
        break;
      case "pong":
        break;
      default:
        this.dispatchEvent(new CustomEvent("frame", { detail: frame ?? {} }));
    }
  }

  #system(frame) {
    if (frame.event === "connected") {
      clearTimeout(this.#openTimer);
      this.connectionId = frame.connectionId ?? "";
      this.userId = frame.userId ?? "";
      this.#connectedAt = performance.now();
      this.#pingTimer = setInterval(() => this.#probe(PONG_MS), PING_MS);
      this.#enter("connected");
    } else if (frame.event === "disconnected") {
      this.#disconnectReason = frame.message ?? "";
    }
  }

  #settle(ackId, error) {
    const request = this.#pending.get(ackId);
    if (!request) return;
    this.#pending.delete(ackId);
    clearTimeout(request.timer);
    if (error) request.reject(error);
    else request.resolve();
  }

  /** Sends a ping, and drops the connection unless any frame arrives before the deadline. */
  #probe(deadline) {
    this.send({ type: "ping" });
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#drop(), deadline);
  }

  #wake() {
    if (this.#state === "waiting") this.#connect();
    else if (this.#state === "connected") this.#probe(PROBE_MS);
  }

  /** Abandons a silent socket without waiting for its close handshake. */
  #drop() {
    this.#socket?.close();
    this.#lost(1006, "");
  }

  #lost(code, closeReason) {
    const uptime = this.#state === "connected" ? performance.now() - this.#connectedAt : 0;
    if (uptime >= STABLE_MS) this.#attempt = 0;
    const reason = this.#disconnectReason || closeReason;
    this.#detach();
    if (code === POLICY_VIOLATION || code === REPLACED) {
      this.#enter("refused", { code, reason });
      return;
    }
    const delay = backoff(this.#attempt++);
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
    this.#enter("waiting", { code, reason, retryAt: performance.now() + delay });
  }

  /** Releases the socket, stops the timers and fails pending requests. */
  #detach() {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#openTimer);
    clearTimeout(this.#silenceTimer);
    clearInterval(this.#pingTimer);
    const lost = new RequestError("Disconnected", "The connection was lost before the server confirmed the message.");
    for (const ackId of [...this.#pending.keys()]) this.#settle(ackId, lost);
    return socket;
  }

  #enter(state, detail = {}) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }
}

/** "Duplicate" is a success: the server has already performed the request. */
function ackError({ success, error }) {
  if (success || error?.name === "Duplicate") return null;
  return new RequestError(error?.name ?? "Error", error?.message || "The server refused it.");
}

/** Exponential backoff with jitter, so that the clients of a restarted node do not all return at once. */
function backoff(attempt) {
  const ceiling = Math.min(BACKOFF_MAX_MS, 2 * BACKOFF_MIN_MS * 2 ** attempt);
  return BACKOFF_MIN_MS + Math.random() * (ceiling - BACKOFF_MIN_MS);
}
