// The token of the admin port: asked for when the port wants one, and kept until the tab is closed. It is never in the
// address of the page, which ends up in histories and logs.

import { byId } from "./dom.js";

// Others cannot be sent.
const SENDABLE = /^[\x21-\x7e]+$/u;
const KEY = "tieline-admin-token";
let kept = read();
let asking = null;

export const token = () => kept;

export function forget() {
  kept = null;
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // As below.
  }
}

/** Asks for the token. Resolves once there is one; all who ask while the dialog is open share it. */
export function askToken() {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token");
    byId("token-wrong").hidden = !kept;
    byId("token-text").value = "";
    dialog.oncancel = (event) => event.preventDefault();
    dialog.onclose = () => {
      const text = byId("token-text").value.trim();
      byId("token-text").value = "";
      if (!SENDABLE.test(text)) {
        byId("token-wrong").hidden = !text;
        dialog.showModal();
        return;
      }
      keep(text);
      asking = null;
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}

function keep(text) {
  kept = text;
  try {
    sessionStorage.setItem(KEY, text);
  } catch {
    // The browser forbids storage: the token lasts until the page is loaded again.
  }
}

function read() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
