// Messages of every shape arrive unchanged, with and without compression.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { DEADLINE, MESSAGE_LIMIT, Peer, Server } from "./kit.mjs";

const timeout = 3 * DEADLINE;

const TEXTS = {
  "nothing at all": "",
  "one character": "x",
  "white space at both ends": "  \t padded \r\n ",
  "line feeds, kept": "one\ntwo\r\nthree\n\n",
  "every length class": "a".repeat(125) + "b".repeat(126),
  "a length of 16 bits": "c".repeat(65_535),
  "a length of 64 bits": "d".repeat(65_536),
  "beyond the basic plane": "žluťoučký 漢字 🐎\u0000\u{10FFFF}",
};

const SHAPES = [
  { name: "without compression", args: [], client: false },
  { name: "server compresses, client does not offer it", args: ["--deflate"], client: false },
  { name: "client offers compression, server has none", args: [], client: { threshold: 0 } },
  { name: "permessage-deflate", args: ["--deflate"], client: { threshold: 0 } },
  {
    name: "permessage-deflate, client without context take-over",
    args: ["--deflate"],
    client: { threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true },
  },
];

for (const { name, args, client } of SHAPES) {
  describe(name, () => {
    let server;
    before(async () => (server = await Server.yardstick(...args)));
    after(() => server?.stop());

    const connect = () => Peer.open(server.url("/echo"), { perMessageDeflate: client });

    test("compression is on exactly if both want it", { timeout }, async () => {
      const peer = await connect();
      const agreed = Boolean(client) && args.includes("--deflate");
      assert.equal(peer.socket.extensions.includes("permessage-deflate"), agreed);
      await peer.close();
    });

    test("text arrives unchanged", { timeout }, async () => {
      const peer = await connect();
      for (const [what, text] of Object.entries(TEXTS)) {
        peer.send(text);
        assert.equal(await peer.text(), text, what);
      }
      await peer.close();
    });

    test("binary arrives unchanged", { timeout }, async () => {
      const peer = await connect();
      const bytes = [Buffer.alloc(0), Buffer.from([0, 10, 13, 32, 255]), randomBytes(70_000)];
      for (const sent of bytes) {
        peer.send(sent);
        const { data, binary } = await peer.message();
        assert.ok(binary);
        assert.ok(data.equals(sent), `${sent.length} bytes`);
      }
      await peer.close();
    });

    test("fragments are reassembled, and may split a character", { timeout }, async () => {
      const peer = await connect();
      const whole = Buffer.from("first, Ř, 🐎, last\n");
      for (let at = 0; at < whole.length; at += 1) {
        peer.send(whole.subarray(at, at + 1), { binary: false, fin: false });
        if (at % 5 === 0) peer.socket.ping("between fragments");
      }
      peer.send("", { fin: true });
      assert.equal(await peer.text(), whole.toString());

      const halves = [randomBytes(40_000), randomBytes(40_000)];
      peer.send(halves[0], { binary: true, fin: false });
      peer.send(halves[1], { fin: true });
      const { data, binary } = await peer.message();
      assert.ok(binary && data.equals(Buffer.concat(halves)));
      await peer.close();
    });

    test("many messages at once are echoed one by one, in order", { timeout }, async () => {
      const peer = await connect();
      const count = 2_000;
      for (let n = 0; n < count; n += 1) peer.send(`${n}\n`);
      for (let n = 0; n < count; n += 1) assert.equal(await peer.text(), `${n}\n`);
      await peer.close();
    });

    test("a message of exactly the limit passes", { timeout }, async () => {
      const peer = await connect();
      const sent = randomBytes(MESSAGE_LIMIT / 2).toString("hex");
      peer.send(sent);
      assert.ok((await peer.text()) === sent);
      await peer.close();
    });

    test("one byte more is answered with 1009", { timeout }, async () => {
      const peer = await connect();
      peer.send(Buffer.alloc(MESSAGE_LIMIT + 1));
      assert.equal((await peer.end()).code, 1009);

      const other = await connect();
      other.send(Buffer.alloc(MESSAGE_LIMIT), { fin: false });
      other.send(Buffer.alloc(1), { fin: true });
      assert.equal((await other.end()).code, 1009, "counted over all fragments");
    });
  });
}
