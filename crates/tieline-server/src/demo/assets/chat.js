// The page: it connects a session with the bar, the lists and the message box.

import { LOBBY } from "./conversation.js";
import { avatar, byId, element } from "./dom.js";
import { askName, rememberedName, suggestName } from "./identity.js";
import { ELSEWHERE, HERE, nodeName, nodeNames, pageOf } from "./nodes.js";
import { Session } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { Status } from "./status.js";

const hub = document.querySelector('meta[name="tieline-hub"]').content;
const title = document.title;

let session;
let active;
const sidebar = new Sidebar((kind, name) => {
  choose(kind === "group" ? session.joinRoom(name) : session.open(kind, name));
  // On a touch screen the box would bring up the keyboard, over half of the messages.
  const touch = matchMedia("(pointer: coarse)").matches;
  (touch ? active.log : byId("text")).focus();
});
const status = new Status(() => session.reconnectNow());

function begin(name) {
  session?.stop();
  active = undefined;
  byId("conversations").querySelectorAll(".conversation").forEach((old) => old.remove());
  session = new Session(hub, name);
  byId("me-name").textContent = name;
  byId("me-avatar").replaceChildren(avatar(name));
  session.addEventListener("conversation", ({ detail }) => added(detail));
  session.addEventListener("message", ({ detail }) => arrived(detail));
  session.addEventListener("change", refresh);
  session.addEventListener("connection", ({ detail }) => {
    announce(status.show(detail));
    refresh();
  });
  session.start();
  choose(session.open("group", LOBBY));
}

function added(conversation) {
  conversation.empty.append(...guidance(conversation));
  byId("conversations").prepend(conversation.element);
  refresh();
}

function arrived({ conversation, from, own }) {
  const unseen = conversation !== active || document.hidden;
  if (unseen && !own) {
    conversation.unread += 1;
    if (conversation !== active) announce(`New message from ${from}: ${conversation.title}`);
  }
  if (conversation === active) byId("latest").hidden = conversation.isAtEnd;
  refresh();
}

function choose(conversation) {
  if (active) {
    active.draft = byId("text").value;
    active.element.hidden = true;
  }
  active = conversation;
  active.unread = 0;
  active.element.hidden = false;
  byId("text").value = active.draft;
  byId("latest").hidden = true;
  fitText();
  refresh();
  active.scrollToEnd();
}

function refresh() {
  if (!active) return;
  sidebar.show(session, active);
  byId("title").replaceChildren(element("bdi", {}, active.title));
  byId("subtitle").textContent = subtitle();
  const leave = byId("leave");
  leave.hidden = active.isLobby;
  leave.textContent = active.kind === "group" ? "Leave" : "Close";
  leave.setAttribute("aria-label", `${leave.textContent} ${active.title}`);
  document.title = session.unread > 0 ? `(${session.unread}) ${title}` : title;
  composer();
}

function subtitle() {
  const { users, total, more, nodes } = session.online;
  if (active.isLobby) return total === 1 ? "Only you are here" : total > 1 ? `${total}${more ? "+" : ""} people online` : "";
  if (active.kind === "group") return "Only its members see this";
  if (session.state !== "connected" || total > users.length) return "Only the two of you see this";
  if (!users.includes(active.name)) return "Not online";
  const on = nodes.get(active.name) ?? [];
  return `${on.length ? `On ${nodeNames(on)}` : "Online"} · only the two of you see this`;
}

function composer() {
  const connected = session.state === "connected";
  byId("send").setAttribute("aria-disabled", String(!connected));
  byId("text").placeholder = `Write to ${active.isLobby ? "everyone" : active.title}`;
  byId("text-label").textContent = byId("text").placeholder;
  byId("hint").textContent = connected
    ? "Enter sends, Shift + Enter starts a new line."
    : "Not connected: your text stays here until it can be sent.";
}

function send() {
  const box = byId("text");
  const text = box.value.trim() ? box.value : "";
  if (session.state !== "connected") {
    announce(byId("hint").textContent);
    return;
  }
  if (!text) return;
  session.send(active, text);
  box.value = "";
  fitText();
  box.focus();
}

/** What a newcomer can try; shown until the conversation has a message. */
function guidance({ kind, isLobby, title: name }) {
  const tab = (label) => {
    const address = () => pageOf(ELSEWHERE[0] ?? HERE, suggestName(session.me, session.online.users));
    const link = element("a", { href: address(), target: "_blank", rel: "noopener" }, label);
    // Who is online, and so which name is free, changes while the link stands there.
    link.addEventListener("click", () => (link.href = address()));
    return link;
  };
  const paragraph = (...parts) => element("p", {}, ...parts);
  if (kind === "user") return [element("h2", {}, `You and ${name}`), paragraph("Only the two of you see what is written here.")];
  if (!isLobby) {
    return [
      element("h2", {}, name),
      paragraph("Only those who joined this room see what is written here. ", tab("Open a second tab"), " and join it there too."),
    ];
  }
  const things = [
    [tab(`Open ${ELSEWHERE.length ? nodeName(ELSEWHERE[0]) : "a second tab"}`), " as somebody else: what you write to each other crosses the link."],
    ["Pick a name under Online to write to one person."],
    ["Join a room: only its members see what is written there."],
    ["Restart the server, and watch this page come back."],
    ["Any Web PubSub client can join in at ", element("code", {}, session.endpoint), ", group ", element("code", {}, LOBBY), "."],
  ];
  return [
    element("h2", {}, "It is quiet here"),
    paragraph("Some things to try:"),
    element("ul", {}, ...things.map((parts) => element("li", {}, ...parts))),
  ];
}

function announce(text) {
  if (text) byId("announcer").textContent = text;
}

/** The box grows with its text; the style sheet says how far. */
function fitText() {
  const box = byId("text");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

function listen() {
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  byId("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  byId("text").addEventListener("input", fitText);
  byId("latest").addEventListener("click", () => active.scrollToEnd());
  byId("leave").addEventListener("click", () => {
    const left = active;
    choose(session.open("group", LOBBY));
    session.close(left);
    refresh();
    byId("text").focus();
  });
  byId("change-name").addEventListener("click", async () => {
    const name = await askName(session.name);
    if (name) begin(name);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !active) return;
    active.unread = 0;
    refresh();
  });
}

/** Says which node this is. */
function showNode() {
  const chip = byId("node");
  chip.hidden = !HERE;
  chip.title = `This page is served by ${nodeName(HERE)}, at ${HERE}`;
  chip.append(nodeName(HERE), element("span", { className: "node-address" }, ` · ${HERE}`));
}

showNode();
listen();
begin(rememberedName() || (await askName("")));
