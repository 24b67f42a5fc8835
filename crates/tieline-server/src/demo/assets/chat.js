// The page: connects a session to the bar, the sidebar and the message box.

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
  // On a touch screen, focusing the box would open the keyboard over half of the messages.
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
  const { users, total, nodes } = session.online;
  if (active.isLobby) return total === 1 ? "Only you are here" : total > 1 ? `${total} people online` : "";
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
    ? "Press Enter to send, Shift + Enter for a new line."
    : "Not connected. Your text stays here until you can send it.";
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

/** Suggestions for a newcomer, shown until the conversation has a message. */
function guidance({ kind, isLobby, title: name }) {
  const tab = (label) => {
    const address = () => pageOf(ELSEWHERE[0] ?? HERE, suggestName(session.me, session.online.users));
    const link = element("a", { href: address(), target: "_blank", rel: "noopener" }, label);
    // Which name is free changes with who is online, so the address is updated on each click.
    link.addEventListener("click", () => (link.href = address()));
    return link;
  };
  const paragraph = (...parts) => element("p", {}, ...parts);
  if (kind === "user") return [element("h2", {}, `You and ${name}`), paragraph("Only the two of you see these messages.")];
  if (!isLobby) {
    return [
      element("h2", {}, name),
      paragraph("Only members of this room see its messages. ", tab("Open a second tab"), " and join it there too."),
    ];
  }
  const suggestions = [
    [tab(`Open ${ELSEWHERE.length ? nodeName(ELSEWHERE[0]) : "a second tab"}`), " under another name: your messages cross the link between the nodes."],
    ["Pick a name under Online to send a private message."],
    ["Join a room: only its members see its messages."],
    ["Restart the server and watch this page reconnect."],
    ["Connect any Web PubSub client to ", element("code", {}, session.endpoint), " and join the group ", element("code", {}, LOBBY), "."],
  ];
  return [
    element("h2", {}, "No messages yet"),
    paragraph("Things to try:"),
    element("ul", {}, ...suggestions.map((parts) => element("li", {}, ...parts))),
  ];
}

function announce(text) {
  if (text) byId("announcer").textContent = text;
}

/** Fits the box to its text, up to the height that the style sheet allows. */
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

/** Shows which node served the page. */
function showNode() {
  const chip = byId("node");
  chip.hidden = !HERE;
  chip.title = `This page comes from ${nodeName(HERE)} at ${HERE}`;
  chip.append(nodeName(HERE), element("span", { className: "node-address" }, ` · ${HERE}`));
}

showNode();
listen();
begin(rememberedName() || (await askName("")));
