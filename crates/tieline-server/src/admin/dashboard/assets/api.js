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
  return ask(withQuery(path, query), { signal });
}

/** Calls `onLine` with the JSON of each line of an answer, as they come, until it ends. */
export async function lines(path, query, signal, onLine) {
  const response = await request(withQuery(path, query), { signal }, () => signal);
  if (!response.ok) await answer(response);
  let rest = "";
  const texts = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await texts.read();
    if (done) return;
    const whole = `${rest}${value}`.split("\n");
    rest = whole.pop();
    // Empty lines say that the connection is there.
    for (const line of whole) if (line) onLine(JSON.parse(line));
  }
}

export function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value);
  return given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path;
}

async function ask(path, options) {
  const { signal } = options;
  return answer(await request(path, options, () => {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    return signal ? AbortSignal.any([signal, deadline]) : deadline;
  }));
}

/** The answer to a request, with the token. `signalOf` makes the signal of each attempt. */
async function request(path, { signal = null, headers = {}, ...options }, signalOf) {
  for (;;) {
    const used = token();
    const authorization = used ? { authorization: `Bearer ${used}` } : {};
    const response = await fetch(`api/${path}`, {
      ...options,
      headers: { ...headers, ...authorization },
      signal: signalOf(),
      cache: "no-store",
      redirect: "error",
    });
    if (response.status !== 401) return response;
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
