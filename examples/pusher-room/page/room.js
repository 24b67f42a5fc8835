// The page: members by node, and what has happened.

import { PresenceChannel } from "./channel.js";

const MOST_LINES = 50;
const STATUS = { connecting: "Connecting", online: "Connected", offline: "Connection lost", refused: "Refused" };

const byId = (id) => document.getElementById(id);
const element = (tag, text, className = "") => Object.assign(document.createElement(tag), { textContent: text, className });

const { key, channel, nodes } = await (await fetch("/config.json")).json();
const query = new URLSearchParams(location.search);
const name = (query.get("name") ?? "").slice(0, 40) || `guest ${Math.floor(1000 * Math.random())}`;
let own = Number(query.get("node")) in nodes ? Number(query.get("node")) : 0;
let room = null;

byId("you").textContent = name;

function show(members) {
  byId("count").textContent = members.size === 1 ? "1 person" : `${members.size} people`;
  const sorted = [...members].sort(([one], [other]) => one.localeCompare(other));
  byId("nodes").replaceChildren(...nodes.map((address, node) => {
    const here = sorted.filter(([, info]) => (info?.node ?? 0) === node);
    const section = element("section", "");
    section.append(element("h2", `Node ${node + 1}`), element("p", address, "address"));
    const list = element("ul", "");
    list.append(...here.map(([member]) => person(member)));
    section.append(here.length > 0 ? list : element("p", "Nobody", "empty"));
    return section;
  }));
}

function person(member) {
  const item = element("li", "");
  const hue = [...member].reduce((sum, letter) => (31 * sum + letter.codePointAt(0)) % 360, 7);
  const avatar = element("span", [...member][0].toUpperCase(), "avatar");
  avatar.style.setProperty("--hue", hue);
  avatar.ariaHidden = "true";
  item.append(avatar, element("bdi", member));
  if (member === name) item.append(element("span", "you", "mark"));
  return item;
}

function tell(what, member) {
  const line = element("li", "", what);
  line.append(element("time", new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })));
  const text = element("span", "");
  text.append(element("bdi", member), ` ${what}`);
  line.append(text);
  byId("log").prepend(line);
  while (byId("log").children.length > MOST_LINES) byId("log").lastElementChild.remove();
}

async function authorize(socketId) {
  const body = JSON.stringify({ socket_id: socketId, name, node: own });
  const answer = await fetch("/auth", { method: "POST", body, headers: { "content-type": "application/json" } });
  if (!answer.ok) throw new Error(`not authorized: ${answer.status}`);
  return answer.json();
}

function enter(node) {
  room?.close();
  own = node;
  byId("move").textContent = `Move to node ${((own + 1) % nodes.length) + 1}`;
  room = new PresenceChannel(`ws://${nodes[own]}/app/${key}`, channel, authorize, {
    onStatus: (status) => {
      byId("status").textContent = STATUS[status];
      byId("status").dataset.status = status;
    },
    onMembers: show,
    onChange: tell,
  });
}

byId("move").hidden = nodes.length < 2;
byId("move").addEventListener("click", () => enter((own + 1) % nodes.length));
show(new Map());
enter(own);
