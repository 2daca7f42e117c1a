// The access token goes to its own service, and to nobody else.
import assert from "node:assert/strict";

import { Service, call, refused, scenario } from "./support/index.mjs";

/** A scenario with a second service, of another origin. */
function besideAnother(name, act) {
  scenario(name, async (service, browser) => {
    const other = await Service.start();
    try {
      await act(service, browser, other);
    } finally {
      await other.stop();
    }
  });
}

besideAnother("a call to another origin is refused, and nothing is sent", async (service, browser, other) => {
  const auth = await browser.loggedIn();
  const { port } = new URL(service.origin);
  for (const input of [
    `${other.origin}/api`,
    new URL(`${other.origin}/api`),
    new Request(`${other.origin}/api`),
    `//127.0.0.1:${new URL(other.origin).port}/api`,
    `http://127.0.0.1:${port}@127.0.0.1:${new URL(other.origin).port}/api`,
    `https://127.0.0.1:${port}/api`,
    `http://localhost:${port}/api`,
    "data:text/plain,a",
    "about:blank",
  ]) {
    await refused(auth.fetch(input), "origin_not_allowed");
  }
  assert.deepEqual([other.requests.length, service.count("/api")], [0, 0]);
  assert.equal((await call(auth, {}, `${service.origin}/api`)).status, 200);
});

besideAnother("an origin that is listed gets the token", async (service, browser, other) => {
  const auth = await browser.loggedIn({ origins: [other.origin] });
  await auth.fetch(`${other.origin}/api`);
  assert.equal(other.requests[0].token, "at1");
  assert.equal((await call(auth)).status, 200);
});

besideAnother(
  "relative addresses are those of the page, and what was checked is what is sent",
  async (service, browser, other) => {
    // A page of another origin than the service, as where `<base>` points elsewhere.
    const auth = await browser.loggedIn({}, { here: `${other.origin}/page` });
    await refused(auth.fetch("/api"), "origin_not_allowed");
    let reads = 0;
    const changing = { toString: () => `${(reads++ ? other : service).origin}/api` };
    assert.equal((await call(auth, {}, changing)).status, 200);
    assert.equal(other.requests.length, 0);
  },
);

besideAnother("a call with credentials of its own is none of ours", async (service, browser, other) => {
  const auth = await browser.loggedIn();
  const own = { headers: { Authorization: "Basic YTpi" } };
  await auth.fetch(`${other.origin}/api`, own);
  await auth.fetch(new Request(`${service.origin}/api`, own));
  assert.deepEqual([other.requests[0].token, service.requests.at(-1).token], ["Basic YTpi", "Basic YTpi"]);
  assert.equal(service.count("/auth/refresh"), 0);
});

scenario("the token is in no address", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  await call(auth);
  await auth.sessions.list();
  await auth.logout();
  for (const { path } of service.requests) assert(!/at\d|\?/.test(path), path);
});

scenario("options that can mean nothing are refused", async (service, browser) => {
  for (const options of [
    { storage: "cookie" },
    { base: "http://" },
    { base: "data:," },
    { origins: ["*"] },
    { origins: ["data:,"] },
    { origins: ["example.com"] },
  ]) {
    assert.throws(() => browser.open(options), TypeError, JSON.stringify(options));
  }
  assert.throws(() => browser.open({ base: "/auth" }, { here: undefined }), { name: "TypeError", message: /absolute/ });
});

scenario(
  "what the service is asked carries the cookie, is kept by no cache and follows no redirect",
  async (service, browser) => {
    const asked = [];
    const { fetch } = browser.open().platform;
    const auth = browser.open({ fetch: (input, init) => (asked.push(init), fetch(input, init)) });
    await auth.login({ email: "alice@example.com", password: "right" });
    await auth.getAccessToken({ refused: "at1" });
    await auth.sessions.list();
    await auth.logout();
    for (const { credentials, cache, redirect } of asked) {
      assert.deepEqual([credentials, cache, redirect], ["include", "no-store", "manual"]);
    }
    // What sets or removes a cookie does so even if the page is left meanwhile.
    const outlives = asked.map(({ method, keepalive }) => [method, keepalive]);
    assert.deepEqual(outlives, [
      ["POST", true],
      ["POST", true],
      ["GET", false],
      ["POST", true],
    ]);
  },
);
