// The sidebar: rooms, private conversations and who is online. On a narrow
// screen it is a drawer.

import { avatar, byId, element, glyph, reconcile } from "./dom.js";
import { nodeNames } from "./nodes.js";

const MIN_PEOPLE_TO_SEARCH = 10;
const narrow = matchMedia("(max-width: 760px)");

export class Sidebar {
  #session;
  #active;

  /** `choose` is called with the kind and name of the conversation to open. */
  constructor(choose) {
    this.choose = (kind, name) => {
      this.closeDrawer();
      choose(kind, name);
    };
    this.#drawer();
    for (const id of ["rooms", "directs", "people"]) roveWithin(byId(id));
    byId("find").addEventListener("input", () => this.#people());
    byId("join").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = byId("room").value.trim().replace(/^#/u, "");
      event.target.reset();
      if (name) this.choose("group", name);
    });
  }

  show(session, active) {
    this.#session = session;
    this.#active = active;
    this.#conversations(byId("rooms"), [...session.conversations.values()].filter(({ kind }) => kind === "group"));
    this.#conversations(byId("directs"), session.people);
    byId("private").hidden = session.people.length === 0;
    this.#people();
    badge(byId("unread-total"), session.unread);
    const groups = session.groupCount;
    byId("served").textContent =
      session.state === "connected"
        ? `· connection ${session.connectionId} · ${groups} ${groups === 1 ? "group" : "groups"}`
        : "· not connected";
  }

  closeDrawer() {
    if (narrow.matches && byId("sidebar").dataset.open) this.#setDrawer(false);
  }

  #conversations(list, conversations) {
    const byKey = new Map(conversations.map((conversation) => [conversation.key, conversation]));
    const make = (key) => {
      const { kind, name, title, isLobby } = byKey.get(key);
      const face = kind === "user" ? avatar(name) : glyph(isLobby ? "glyph-everyone" : "glyph-room");
      return item(face, isLobby || kind === "user" ? title : name, () => this.choose(kind, name));
    };
    reconcile(list, [...byKey.keys()], make, (entry, key) => {
      const conversation = byKey.get(key);
      const button = entry.firstElementChild;
      if (conversation === this.#active) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      badge(entry.querySelector(".badge"), conversation.unread);
    });
    keepOneTabStop(list);
  }

  #people() {
    const { users, total, nodes } = this.#session.online;
    const find = byId("find");
    find.hidden = total < MIN_PEOPLE_TO_SEARCH && !find.value;
    const sought = find.value.trim().toLocaleLowerCase();
    const found = users.filter((name) => name.toLocaleLowerCase().includes(sought));
    const unlisted = total > users.length && sought && !users.includes(find.value.trim());
    if (unlisted) found.push(find.value.trim());
    byId("online-total").textContent = `${total}`;
    byId("online-total").hidden = total === 0;
    reconcile(byId("people"), found, (name) => this.#person(name), (entry, name) => {
      entry.querySelector(".on-node").textContent = nodeNames(nodes.get(name) ?? []);
    });
    keepOneTabStop(byId("people"));
    this.#peopleNote(found.length, total - users.length, sought);
  }

  #person(name) {
    if (name === this.#session.me) {
      const you = element("span", { className: "note" }, "you · ", element("span", { className: "on-node" }));
      return element("li", { className: "item self" }, avatar(name), label(name), you);
    }
    const entry = item(avatar(name), name, () => this.choose("user", name));
    entry.firstElementChild.append(element("span", { className: "note on-node" }));
    entry.firstElementChild.title = `Write to ${name}`;
    return entry;
  }

  #peopleNote(found, unlisted, sought) {
    const note = byId("people-note");
    note.hidden = !(unlisted > 0 || (sought && found === 0));
    note.textContent =
      unlisted > 0 ? `${unlisted} more. Search for their full name.` : "No one online has this name.";
  }

  #drawer() {
    byId("drawer-open").addEventListener("click", () => this.#setDrawer(true));
    for (const id of ["drawer-close", "backdrop"]) byId(id).addEventListener("click", () => this.#setDrawer(false));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.closeDrawer());
    narrow.addEventListener("change", () => this.#layOut(false));
    this.#layOut(false);
  }

  #setDrawer(open) {
    this.#layOut(open);
    byId(open ? "drawer-close" : "drawer-open").focus();
  }

  /** Also takes what is behind the drawer, or in a closed drawer, out of keyboard reach. */
  #layOut(open) {
    const sidebar = byId("sidebar");
    if (open) sidebar.dataset.open = "true";
    else delete sidebar.dataset.open;
    sidebar.inert = narrow.matches && !open;
    byId("main").inert = narrow.matches && open;
    byId("backdrop").hidden = !open;
    byId("drawer-open").setAttribute("aria-expanded", String(open));
  }
}

function item(face, name, onclick) {
  const mark = element("span", { className: "badge", hidden: true });
  return element("li", {}, element("button", { type: "button", className: "item", onclick }, face, label(name), mark));
}

function label(name) {
  return element("bdi", { className: "item-name", title: name }, name);
}

function badge(mark, count) {
  mark.hidden = count === 0;
  mark.replaceChildren(count > 99 ? "99+" : String(count), element("span", { className: "sr-only" }, " unread"));
}

/** Makes a list a single tab stop, within which the arrow keys move. */
function roveWithin(list) {
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const here = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    buttons[to]?.focus();
  });
  list.addEventListener("focusin", (event) => keepOneTabStop(list, event.target));
}

function keepOneTabStop(list, wanted = null) {
  const buttons = [...list.querySelectorAll("button")];
  const stop =
    wanted ??
    buttons.find((button) => button === document.activeElement) ??
    buttons.find((button) => button.hasAttribute("aria-current")) ??
    buttons[0];
  for (const button of buttons) button.tabIndex = button === stop ? 0 : -1;
}
