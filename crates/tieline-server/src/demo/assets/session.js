// A visitor's session: the connection, the conversations, and who is online.
// Turns frames into messages and messages into frames. Must not know the page
// around the conversations.
//
// Events: "change" (something that the page shows has changed), "connection" with
// {state, retryAt, reason, code, again}, "conversation" with a new conversation
// and "message" with {conversation, from, own}.

import { Client } from "./client.js";
import { Conversation, conversationKey, LOBBY } from "./conversation.js";
import { HERE } from "./nodes.js";

const ECHO_MS = 10_000;
const ROOMS_KEY = "tieline-rooms";
const NO_ONE_ONLINE = { users: [], total: 0, nodes: new Map() };

export class Session extends EventTarget {
  #client;
  #lostAt = 0;

  conversations = new Map();
  online = NO_ONE_ONLINE;
  state = "connecting";

  constructor(hub, name) {
    super();
    this.name = name;
    const address = new URL(`/client/hubs/${encodeURIComponent(hub)}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.endpoint = address.origin + address.pathname;
    this.#client = new Client((signal) => withToken(this.endpoint, name, signal));
    this.#client.addEventListener("state", ({ detail }) => this.#entered(detail));
    this.#client.addEventListener("frame", ({ detail }) => this.#receive(detail));
  }

  get me() {
    return this.#client.userId || this.name;
  }

  get connectionId() {
    return this.#client.connectionId;
  }

  get rooms() {
    return this.#ofKind("group").filter((conversation) => !conversation.isLobby);
  }

  get groupCount() {
    return this.#ofKind("group").filter(({ joined }) => joined).length;
  }

  get people() {
    return this.#ofKind("user");
  }

  get unread() {
    return [...this.conversations.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  start() {
    this.open("group", LOBBY);
    for (const room of rememberedRooms()) this.open("group", room);
    this.#client.start();
  }

  stop() {
    this.#client.stop();
  }

  reconnectNow() {
    this.#client.reconnectNow();
  }

  /** Returns the conversation of that name, and creates it if necessary. */
  open(kind, name) {
    const key = conversationKey(kind, name);
    const known = this.conversations.get(key);
    if (known) return known;
    const conversation = new Conversation(kind, name);
    this.conversations.set(key, conversation);
    this.#emit("conversation", conversation);
    return conversation;
  }

  /** Opens a room and joins its group, now or when connected. */
  joinRoom(name) {
    const room = this.open("group", name);
    rememberRooms(this.rooms);
    if (!room.joined && this.#client.state === "connected") this.#join(room);
    return room;
  }

  close(conversation) {
    this.conversations.delete(conversation.key);
    conversation.element.remove();
    if (conversation.kind !== "group") return;
    rememberRooms(this.rooms);
    // A lost request is harmless: the next connection does not join the room.
    this.#client.request({ type: "leaveGroup", group: conversation.name }).catch(() => {});
  }

  send(conversation, text) {
    const message = conversation.addMessage({ from: this.me, own: true, text, state: "pending" });
    conversation.scrollToEnd();
    this.#deliver(conversation, message);
  }

  async #deliver(conversation, message) {
    const retry = () => {
      conversation.settle(message, "pending");
      this.#deliver(conversation, message);
    };
    const fail = (explanation, late) => conversation.settle(message, "failed", { explanation, late, retry });
    try {
      await this.#client.request(outgoing(conversation, message.text));
    } catch (error) {
      if (message.state === "pending") fail(explain(error), error.name === "Timeout");
      return;
    }
    // Accepted. The message is confirmed when it comes back.
    const overdue = () => message.state === "pending" && fail("The server did not confirm the message.", true);
    setTimeout(overdue, ECHO_MS);
  }

  async #entered(detail) {
    if (detail.state === "connected") {
      await this.#arrive();
      return;
    }
    if (this.state === "connected") this.#lostAt = Date.now();
    this.#setState(detail);
  }

  /** The session is connected once its groups are joined, because messages arrive only then. */
  async #arrive() {
    const connection = this.connectionId;
    const groups = this.#ofKind("group");
    this.#client.send({ type: "event", event: "online" });
    await Promise.all(groups.map((group) => this.#join(group)));
    if (this.#client.state !== "connected" || this.connectionId !== connection) return;
    const again = this.#lostAt > 0;
    if (again) this.#noteGap();
    this.#setState({ state: "connected", again });
  }

  async #join(conversation) {
    try {
      await this.#client.request({ type: "joinGroup", group: conversation.name });
      conversation.joined = true;
      this.#emit("change");
    } catch (error) {
      conversation.joined = false;
      if (error.name !== "Disconnected") conversation.addNotice(sentence(`Could not join: ${error.message}`));
    }
  }

  #noteGap() {
    const seconds = Math.max(1, Math.round((Date.now() - this.#lostAt) / 1000));
    for (const conversation of this.conversations.values()) {
      if (conversation.log.childElementCount === 0) continue;
      conversation.addNotice(`Reconnected after ${seconds} s. Messages sent in the meantime are not shown.`);
    }
  }

  #receive(frame) {
    if (frame.type !== "message") return;
    const data = frame.data;
    if (frame.from === "group" && typeof frame.group === "string") {
      this.#show(this.open("group", frame.group), frame.fromUserId, textOf(frame), nodeOf(frame));
    } else if (data?.kind === "online" && Array.isArray(data.users)) {
      this.online = parseOnline(data);
      this.#emit("change");
    } else if (data?.kind === "direct") {
      const from = String(data.from);
      const other = from === this.me ? String(data.to) : from;
      this.#show(this.open("user", other), from, String(data.text), nodeOf(frame));
    } else {
      this.#show(this.open("group", LOBBY), "Server", textOf(frame));
    }
  }

  /** If the sender does not name its node, the list of who is online may. */
  #show(conversation, from = "Anonymous", text, node = this.#onlyNodeOf(from)) {
    const own = from === this.me;
    if (!(own && conversation.confirm(text))) conversation.addMessage({ from, own, text, node });
    this.#emit("message", { conversation, from, own });
  }

  #onlyNodeOf(name) {
    const nodes = this.online.nodes.get(name) ?? [];
    return nodes.length === 1 ? nodes[0] : "";
  }

  #ofKind(kind) {
    return [...this.conversations.values()].filter((conversation) => conversation.kind === kind);
  }

  #setState(detail) {
    this.state = detail.state;
    if (detail.state !== "connected") this.online = NO_ONE_ONLINE;
    this.#emit("connection", detail);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function outgoing({ kind, name }, text) {
  if (kind === "user") return { type: "event", event: "direct", dataType: "json", data: { to: name, text, node: HERE } };
  return { type: "sendToGroup", group: name, noEcho: false, dataType: "json", data: { text, node: HERE } };
}

function explain({ name, message }) {
  if (name === "Disconnected" || name === "Timeout") return message;
  return sentence(`Not delivered: ${message}`);
}

function sentence(text) {
  return `${text.replace(/[\s.]+$/u, "")}.`;
}

/** Other programs can send messages too, in other formats than this page. */
function textOf({ dataType, data }) {
  if (/^(binary|protobuf)$/iu.test(dataType ?? "")) return "(binary data)";
  if (typeof data === "string") return data;
  if (typeof data?.text === "string") return data.text;
  return JSON.stringify(data, null, 2) ?? "";
}

/** The sender's node, if the message names it. */
function nodeOf({ data }) {
  return typeof data?.node === "string" && data.node ? data.node : undefined;
}

function parseOnline({ users, total, nodes }) {
  return {
    users: users.map(String),
    total: Number(total) || users.length,
    nodes: new Map(Object.entries(nodes ?? {})),
  };
}

function rememberedRooms() {
  try {
    const rooms = JSON.parse(sessionStorage.getItem(ROOMS_KEY) ?? "[]");
    return Array.isArray(rooms) ? rooms.filter((room) => typeof room === "string") : [];
  } catch {
    return [];
  }
}

function rememberRooms(rooms) {
  try {
    sessionStorage.setItem(ROOMS_KEY, JSON.stringify(rooms.map(({ name }) => name)));
  } catch {
    // Without storage, the rooms are lost on reload.
  }
}

/** The address with a token of the visitor, as a backend would make one for its users. */
async function withToken(endpoint, name, signal) {
  const response = await fetch(`/negotiate?user=${encodeURIComponent(name)}`, { method: "POST", signal });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  const { token } = await response.json();
  return `${endpoint}?access_token=${encodeURIComponent(token)}`;
}
