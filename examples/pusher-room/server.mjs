// The application: serves the page, and signs who may enter the room.
//
//   ROOM_SECRET=… node server.mjs
//
// NODES are the addresses of the nodes, PORT is that of the page. Anybody may say who it is: a real application
// signs for the user that it knows, by a cookie for example.

import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const KEY = "room-key";
const CHANNEL = "presence-room";
const MOST_BYTES = 10_000;
const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/room.js": ["room.js", "text/javascript"],
  "/channel.js": ["channel.js", "text/javascript"],
  "/style.css": ["style.css", "text/css"],
};
const { ROOM_SECRET: secret, NODES = "127.0.0.1:8080,127.0.0.1:8081", PORT = "8000" } = process.env;
if (!secret) throw new Error("ROOM_SECRET is not set: it is the secret of the app, the same as for the nodes");
const nodes = NODES.split(",");

/** What a client needs to enter as this member. */
function signed(socketId, name, node) {
  const member = JSON.stringify({ user_id: name, user_info: { node } });
  const text = `${socketId}:${CHANNEL}:${member}`;
  return { auth: `${KEY}:${createHmac("sha256", secret).update(text).digest("hex")}`, channel_data: member };
}

async function json(request) {
  let text = "";
  for await (const part of request.setEncoding("utf8")) {
    text += part;
    if (text.length > MOST_BYTES) return null;
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function auth(request, response) {
  const { socket_id: socketId, name, node } = (await json(request)) ?? {};
  const isValid = /^\d+\.\d+$/u.test(socketId) && /^.{1,40}$/u.test(name) && node in nodes;
  if (!isValid) return response.writeHead(400).end();
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(signed(socketId, name, node)));
}

async function get(path, response) {
  if (path === "/config.json") {
    const config = JSON.stringify({ key: KEY, channel: CHANNEL, nodes });
    return response.writeHead(200, { "content-type": "application/json" }).end(config);
  }
  if (!(path in FILES)) return response.writeHead(404).end();
  const [file, type] = FILES[path];
  const body = await readFile(new URL(`page/${file}`, import.meta.url));
  response.writeHead(200, { "content-type": type, "cache-control": "no-cache" }).end(body);
}

const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  try {
    if (request.method === "POST" && path === "/auth") await auth(request, response);
    else await get(path, response);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/?name=ada`));
