// Prints the modules below src/ as one without imports: each once, after those that it imports.
import { readFile } from "node:fs/promises";

const IMPORT = /^import (?:\{[^}]*\} from )?"\.\/([\w.]+)";\n+/gm;
const IMPORT_OF_TYPES = /^\/\*\* @import [^]*?\*\/\n+/gm;

const seen = new Set();

async function moduleOf(name) {
  seen.add(name);
  const text = await readFile(new URL(`src/${name}`, import.meta.url), "utf8");
  let before = "";
  for (const [, imported] of text.matchAll(IMPORT)) {
    if (!seen.has(imported)) before += await joined(imported);
  }
  return { before, own: text.replace(IMPORT, "").replace(IMPORT_OF_TYPES, "") };
}

async function joined(name) {
  const { before, own } = await moduleOf(name);
  return `${before}${own.replace(/^export (\{\};\n)?/gm, "").trim()}\n\n`;
}

const { before, own } = await moduleOf("index.js");
const [, about, rest] = /^(\/\*\*[^]*?\*\/)\n+([^]*)$/.exec(own);
process.stdout.write(`// Joined from client/src by scripts/client.\n${about}\n\n${before}${rest}`);
