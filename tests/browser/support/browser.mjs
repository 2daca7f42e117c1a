// Chromium, started so that it talks to nobody but this machine.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const QUIET = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

/** Starts the browser that `CHROMIUM` names. */
export async function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  // The sandbox of Chromium does not work for root.
  const args = process.getuid?.() === 0 ? [...QUIET, "--no-sandbox"] : QUIET;
  return chromium.launch({ executablePath, args, env: { ...process.env, TMPDIR: folderForItsFiles() } });
}

/** Chromium forgets some of its temporary files. They lie in a folder that goes with this process. */
function folderForItsFiles() {
  const folder = mkdtempSync(join(tmpdir(), "authflow-chromium-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}
