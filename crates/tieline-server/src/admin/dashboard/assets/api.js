// Requests to the API of the admin port.

import { askToken, token } from "./token.js";

const DEADLINE_MS = 10_000;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The path of a connection, whose hub and id are any text. */
export const pathOf = (hub, id) => `connections/${encodeURIComponent(hub)}/${encodeURIComponent(id)}`;

/** `query` may have empty values, which are left out. */
export function get(path, query = {}, signal = null) {
  const given = Object.entries(query).filter(([, value]) => value);
  const search = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
  return ask(`${path}${search}`, { signal });
}

export function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(path, { signal = null, headers = {}, ...options }) {
  for (;;) {
    const used = token();
    const authorization = used ? { authorization: `Bearer ${used}` } : {};
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
    const response = await fetch(`api/${path}`, {
      ...options,
      headers: { ...headers, ...authorization },
      signal: either,
      cache: "no-store",
      redirect: "error",
    });
    if (response.status !== 401) return answer(response);
    // Another request may have asked meanwhile.
    if (token() === used) await askToken();
    signal?.throwIfAborted();
  }
}

async function answer(response) {
  const text = await response.text();
  const body = parsed(text);
  if (response.ok) return body ?? {};
  throw new ApiError(response.status, body?.error ?? (text.trim() || `the node answered ${response.status}`));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
