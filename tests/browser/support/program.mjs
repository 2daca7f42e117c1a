// The program `authflow`, in a folder and with a private Postgres of its own.

import { execFile, spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const PROGRAM = process.env.AUTHFLOW_PROGRAM ?? new URL("../../../target/debug/authflow", import.meta.url).pathname;

/** How long a test waits for what should take a moment. Long, because the machine may be busy. */
export const PATIENCE = 30_000;

/** Waits until `condition` gives something, and gives that. */
export async function eventually(what, condition) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE / 1000} s: ${what}`);
    await pause(50);
  }
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Program {
  #child;
  #folder;
  #screen = "";
  #log = "";

  /** Starts it with these variables, and none of the test's own but the path. */
  static async start(variables = {}, options = []) {
    const program = new Program();
    program.#folder = await mkdtemp(join(tmpdir(), "authflow-browser-"));
    // The user that the Postgres of root runs as has to get in.
    await chmod(program.#folder, 0o755);
    const kept = ["PATH", "PG_BIN", "LD_LIBRARY_PATH"].filter((name) => process.env[name]);
    const env = Object.fromEntries(kept.map((name) => [name, process.env[name]]));
    program.#child = spawn(PROGRAM, ["serve", ...options], {
      cwd: program.#folder,
      env: { ...env, AUTHFLOW_BIND: "127.0.0.1:0", ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    program.#child.stdout.on("data", (text) => (program.#screen += text));
    program.#child.stderr.on("data", (text) => (program.#log += text));
    await eventually("the program listens", () => {
      if (program.#child.exitCode !== null) throw new Error(program.#log);
      return program.#screen.includes("Ctrl-C stops it.");
    });
    return program;
  }

  get address() {
    return new URL(/listens on (\S+)/.exec(this.#screen)[1]);
  }

  /** Asks its database; gives the rows as lines. */
  async query(sql) {
    const url = /psql '([^']+)'/.exec(this.#screen)[1];
    const { stdout } = await promisify(execFile)("psql", [url, "-AtXc", sql]);
    return stdout.split("\n").filter(Boolean);
  }

  /** The newest generation of a session. */
  async generation(session) {
    const rows = await this.query(`SELECT max(generation) FROM authflow.refresh_tokens WHERE session_id = '${session}'`);
    return Number(rows[0]);
  }

  async secret() {
    return readFile(join(this.#folder, ".authflow/secret"), "utf8");
  }

  async stop() {
    const ended = this.#child.exitCode === null && new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
