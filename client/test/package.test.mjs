// What is shipped: one module without imports, as the package names it, on the platform that it finds.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";

import * as shipped from "actix-authflow";

import { refusedBy, scenario } from "./support/index.mjs";

const here = (name) => new URL(`../${name}`, import.meta.url);
const manifest = JSON.parse(readFileSync(here("package.json"), "utf8"));

scenario("the package has what its manifest names, and needs nothing else", async () => {
  for (const file of [...manifest.files, manifest.types, ...Object.values(manifest.exports["."])]) {
    assert(existsSync(here(file)), file);
  }
  assert.deepEqual([manifest.dependencies, Object.keys(shipped)], [undefined, ["AuthError", "createAuth"]]);
  assert(!/^\s*import\b|\bimport\(|\brequire\(/m.test(readFileSync(here("authflow.js"), "utf8")));
});

scenario("outside of a browser it works with memory, and asks for an absolute base", async (service) => {
  assert.throws(() => shipped.createAuth(), { name: "TypeError", message: /absolute/ });
  const auth = shipped.createAuth({ base: `${service.origin}/auth/`, storage: "memory" });
  const stop = auth.onChange(() => {});
  await auth.login({ email: "alice@example.com", password: "right" });
  assert.equal((await auth.fetch("/api")).status, 200);
  assert.equal((await auth.fetch(`${service.origin}/api`)).status, 200);
  await refusedBy(
    shipped.AuthError,
    auth.login({ email: "alice@example.com", password: "wrong" }),
    "invalid_credentials",
  );
  stop();
  auth.close();
});

scenario("without its cookie a session cannot go on, and real pauses end", async (service) => {
  const auth = shipped.createAuth({ base: `${service.origin}/auth`, storage: "memory" });
  await auth.login({ email: "alice@example.com", password: "right" });
  for (let n = 0; n < 2; n++) service.next("/auth/refresh", (call, response) => response.destroy());
  // Two that fail, and two that are refused, because this fetch keeps no cookies.
  assert.equal(await auth.getAccessToken({ refused: "at1" }), null);
  assert.equal(service.count("/auth/refresh"), 4);
  auth.close();
});
