// Programs of the documentation, run by Node as modules of this folder.

import { spawn } from "node:child_process";
import { eventually } from "./kit.mjs";

/** Runs a program, and kills it when `use` ends. */
export async function run(program, env, use) {
  const cwd = new URL(".", import.meta.url);
  const options = { cwd, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] };
  const child = spawn("node", ["--input-type=module"], options);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  child.stdin.end(program);
  try {
    await use({ exited, prints: (text) => eventually(`it prints ${text}`, () => output.includes(text)) });
  } finally {
    child.kill();
    await exited;
  }
}
