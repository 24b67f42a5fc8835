// A presence channel of Pusher Channels: who is there, and who comes and goes.

const RETRY_MS = 1_000;

/** Stays subscribed, and tells `onStatus`, `onMembers` (all, as a Map) and `onChange` (one who came or went). */
export class PresenceChannel {
  #url;
  #channel;
  #authorize;
  #handlers;
  #socket = null;
  #members = new Map();
  #retry = 0;
  #quiet = 0;

  /** `authorize` gets the socket's id, and yields what the application has signed. */
  constructor(url, channel, authorize, handlers) {
    this.#url = url;
    this.#channel = channel;
    this.#authorize = authorize;
    this.#handlers = handlers;
    this.#connect();
  }

  /** Ends the subscription for good. */
  close() {
    clearTimeout(this.#retry);
    clearTimeout(this.#quiet);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect() {
    this.#handlers.onStatus("connecting");
    const socket = new WebSocket(`${this.#url}?protocol=7&client=room&version=1`);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#hear(socket, JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => this.#closed(socket, code));
  }

  #closed(socket, code) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#quiet);
    // Below 4100, there is no use in coming back; from 4200 on, at once.
    if (code >= 4000 && code < 4100) return this.#handlers.onStatus("refused");
    this.#handlers.onStatus("offline");
    this.#retry = setTimeout(() => this.#connect(), code >= 4200 && code < 4300 ? 0 : RETRY_MS);
  }

  #send(socket, event, data) {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ event, data }));
  }

  async #hear(socket, { event, data: text }) {
    if (socket !== this.#socket) return;
    const data = typeof text === "string" ? JSON.parse(text) : text;
    switch (event) {
      case "pusher:connection_established":
        this.#listen(socket, data.activity_timeout);
        return this.#subscribe(socket, data.socket_id);
      case "pusher_internal:subscription_succeeded":
        this.#members = new Map(Object.entries(data.presence.hash));
        this.#handlers.onStatus("online");
        return this.#handlers.onMembers(this.#members);
      case "pusher_internal:member_added":
        this.#members.set(data.user_id, data.user_info ?? null);
        return this.#changed("came", data.user_id);
      case "pusher_internal:member_removed":
        this.#members.delete(data.user_id);
        return this.#changed("left", data.user_id);
      case "pusher:error":
        return this.#handlers.onStatus("refused");
      default:
    }
  }

  async #subscribe(socket, socketId) {
    const signed = await this.#authorize(socketId).catch(() => null);
    if (signed) this.#send(socket, "pusher:subscribe", { channel: this.#channel, ...signed });
    else socket.close();
  }

  /** Asks whether the server is there, after a silence. */
  #listen(socket, seconds) {
    const ask = () => {
      this.#send(socket, "pusher:ping", {});
      this.#quiet = setTimeout(ask, 1000 * seconds);
    };
    this.#quiet = setTimeout(ask, 1000 * seconds);
  }

  #changed(what, member) {
    this.#handlers.onChange(what, member);
    this.#handlers.onMembers(this.#members);
  }
}
