// The visitor's name: asked for once and remembered.
//
// Session storage has precedence over local storage, so that two tabs can be two
// people; ?name= in the address has precedence over both.

import { byId } from "./dom.js";

const KEY = "tieline-name";
const MAX_LENGTH = 64;
const SUGGESTIONS = ["otter", "heron", "lynx", "finch", "badger", "marten", "plover", "ibex"];

/** The text as a name, or "" if it contains none. */
export function cleanName(text) {
  const name = (text ?? "").trim().replace(/\s+/gu, " ");
  return [...name].slice(0, MAX_LENGTH).join("").trim();
}

export function rememberedName() {
  const fromAddress = cleanName(new URLSearchParams(location.search).get("name"));
  if (fromAddress) {
    tryStorage(() => sessionStorage.setItem(KEY, fromAddress));
    return fromAddress;
  }
  return cleanName(tryStorage(() => sessionStorage.getItem(KEY)) || tryStorage(() => localStorage.getItem(KEY)));
}

/** Opens the dialog. Resolves to the new name, or to null if the visitor keeps the old one. */
export function askName(current) {
  const dialog = byId("identity");
  const input = byId("name");
  byId("identity-title").textContent = current ? "Change your name" : "Welcome";
  byId("identity-note").hidden = !current;
  byId("identity-cancel").hidden = !current;
  byId("identity-ok").textContent = current ? "Change name" : "Start chatting";
  byId("identity-cancel").onclick = () => dialog.close();
  input.value = current;
  dialog.returnValue = "";
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => current || event.preventDefault();
    dialog.onclose = () => {
      const name = dialog.returnValue === "ok" ? cleanName(input.value) : "";
      if (name) remember(name);
      if (!name && !current) resolve(askName(current));
      else resolve(name && name !== current ? name : null);
    };
  });
}

/** A name for a second tab: not the visitor's and, if possible, not in use. */
export function suggestName(me, online) {
  const others = SUGGESTIONS.filter((name) => name !== me);
  return others.find((name) => !online.includes(name)) ?? others[0];
}

function remember(name) {
  tryStorage(() => sessionStorage.setItem(KEY, name));
  tryStorage(() => localStorage.setItem(KEY, name));
  const address = new URL(location.href);
  if (address.searchParams.has("name")) {
    address.searchParams.set("name", name);
    history.replaceState(null, "", address);
  }
}

/** The browser may forbid storage. The page works without it. */
function tryStorage(access) {
  try {
    return access();
  } catch {
    return null;
  }
}
