// Java programs, run as source files with the jars that test.sh had copied.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { DEADLINE } from "../node/kit.mjs";

const LIBRARY = process.env.TIELINE_JAVA_LIBRARY;

/** What a source file prints. */
export async function run(program, args, env = {}) {
  const { error, stdout, stderr } = await new Promise((resolve) => {
    const options = { timeout: 6 * DEADLINE, env: { ...process.env, ...env } };
    const all = ["-cp", `${LIBRARY}/*`, program, ...args];
    execFile("java", all, options, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
  });
  assert.ok(!error, `${stdout}\n${stderr}`);
  return stdout;
}
