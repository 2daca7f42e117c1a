// Where the access token is kept, and what happens where that fails.
import assert from "node:assert/strict";

import { call, scenario, until } from "./support/index.mjs";

const REFRESH = "/auth/refresh";
const alice = { email: "alice@example.com", password: "right" };

scenario("by default a reload and a second tab find the session in the storage", async (service, browser) => {
  const auth = await browser.loggedIn();
  assert.equal(auth.storage, "local");
  const other = browser.open();
  assert.deepEqual(other.session, auth.session);
  assert.deepEqual(await other.restore(), auth.session);
  assert.equal((await call(other)).status, 200);
  assert.equal(service.count(REFRESH), 0);
});

scenario("without a session the local storage asks the service nothing", async (service, browser) => {
  const auth = browser.open();
  assert.equal(await auth.restore(), null);
  assert.equal(await auth.getAccessToken(), null);
  assert.equal(service.requests.length, 0);
});

for (const storage of ["session", "memory"]) {
  scenario(`with the ${storage} storage a second tab refreshes by cookie, once`, async (service, browser) => {
    service.needsAccessToken = false;
    const auth = await browser.loggedIn({ storage });
    assert.equal(auth.storage, storage);
    assert.equal(browser.stored, null);
    const other = browser.open({ storage });
    assert.equal(other.session, null);
    const calls = await Promise.all([call(other), call(other), other.restore()]);
    assert.deepEqual([calls[0].status, calls[1].status, calls[2].id], [200, 200, "s1"]);
    assert.deepEqual(
      [service.count(REFRESH), service.requests.find(({ path }) => path === REFRESH).token],
      [1, undefined],
    );
    assert.deepEqual(other.changes, ["started"]);
    browser.letExpire();
    assert.equal((await call(other)).status, 200);
    assert.equal(service.requests.findLast(({ path }) => path === REFRESH).token, "at2");
  });

  scenario(`with the ${storage} storage nobody is asked for twice`, async (service, browser) => {
    service.needsAccessToken = false;
    const auth = browser.open({ storage });
    for (let n = 0; n < 3; n++) assert.equal((await call(auth)).body.code, "unauthorized");
    assert.equal(await auth.restore(), null);
    assert.equal(service.count(REFRESH), 1);
    assert.deepEqual(auth.changes, []);
    await auth.login(alice);
    await auth.logout();
    assert.equal(await auth.restore(), null);
    assert.equal(service.count(REFRESH), 1);
  });

  scenario(
    `with the ${storage} storage a logout elsewhere is heard, and a login followed`,
    async (service, browser) => {
      service.needsAccessToken = false;
      const auth = await browser.loggedIn({ storage });
      const other = browser.open({ storage });
      await other.restore();
      await auth.logout();
      await until(() => other.changes.length === 2);
      await auth.login({ email: "bob@example.com", password: "right" });
      await until(() => other.changes.length === 3);
      assert.deepEqual(other.changes, ["started", "ended logged_out elsewhere", "started"]);
      assert.equal(other.session.user.email, "bob@example.com");
      // Also where the session that was there has not been ended before.
      await auth.login(alice);
      await until(() => other.changes.length === 4);
      assert.deepEqual([other.session.id, other.changes.at(-1)], ["s3", "started"]);
    },
  );

  scenario(`with the ${storage} storage an outage at the start is no logout`, async (service, browser) => {
    service.needsAccessToken = false;
    await browser.loggedIn({ storage });
    const other = browser.open({ storage });
    for (let n = 0; n < 4; n++) service.next(REFRESH, (call, response) => response.destroy());
    await assert.rejects(other.restore(), { name: "AuthError", code: "network" });
    browser.pass(60_000);
    assert.equal((await other.restore()).id, "s1");
  });

  scenario(`that the service wants a token for the ${storage} storage is said once`, async (service, browser) => {
    await browser.loggedIn({ storage });
    const other = browser.open({ storage });
    assert.equal(await other.restore(), null);
    assert.equal(await other.restore(), null);
    assert.equal(browser.warnings.length, 1);
    assert.match(browser.warnings[0], /AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN=false/);
  });
}

scenario("a reload finds the session storage as it was", async (service, browser) => {
  const auth = await browser.loggedIn({ storage: "session" });
  const { tab } = auth;
  const storage = () => ({
    getItem: (key) => tab.session.get(key) ?? null,
    setItem: (key, text) => tab.session.set(key, text),
  });
  const reloaded = browser.open({ storage: "session" }, { storage });
  assert.equal((await call(reloaded)).status, 200);
  assert.equal(service.count(REFRESH), 0);
});

const fails = () => {
  throw new DOMException("no", "QuotaExceededError");
};
for (const [name, storage] of [
  ["is forbidden", fails],
  ["is not there", () => undefined],
  ["cannot be read", () => ({ getItem: fails, setItem() {}, removeItem() {} })],
  ["cannot be written", () => ({ getItem: () => null, setItem: fails, removeItem: fails })],
]) {
  scenario(`a storage that ${name} is replaced by memory, which is said once`, async (service, browser) => {
    const auth = browser.open({}, { storage });
    await auth.login(alice);
    assert.equal(auth.storage, "memory");
    assert.equal((await call(auth)).status, 200);
    browser.letExpire();
    assert.equal((await call(auth)).status, 200);
    assert.equal(auth.session.id, "s1");
    await auth.logout();
    assert.equal(auth.session, null);
    assert.equal(browser.warnings.length, 1);
    assert.match(browser.warnings[0], /memory/);
  });
}

scenario("a storage that fails later leaves nothing old behind, and listeners are told", async (service, browser) => {
  const items = new Map();
  let full = false;
  const storage = () => ({
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, text) => (full ? fails() : items.set(key, text)),
    removeItem: (key) => items.delete(key),
  });
  const auth = await browser.loggedIn({}, { storage });
  assert.equal(items.size, 1);
  full = true;
  browser.letExpire();
  assert.equal((await call(auth)).status, 200);
  assert.deepEqual([auth.storage, items.size], ["memory", 0]);
  assert.deepEqual(auth.changes, ["started", "storage", "refreshed"]);
});

scenario("storage that is wiped costs an open page nothing", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.wipe();
  assert.equal((await call(auth)).status, 200);
  assert.equal(browser.stored.token, "at1");
  browser.letExpire();
  browser.wipe();
  assert.equal((await call(auth)).status, 200);
  assert.deepEqual(auth.changes, ["started", "refreshed"]);
});

scenario("what somebody else has written into the storage is no session", async (service, browser) => {
  await browser.loggedIn();
  const good = browser.stored;
  for (const foreign of [
    "",
    "rubbish",
    "null",
    "[]",
    "5",
    { ...good, token: "" },
    { ...good, token: 5 },
    { ...good, session: null },
    { ...good, user: null },
    { ...good, expires: "soon" },
    { ...good, issued: undefined },
    { ended: "s1" },
    { ended: 5, code: "logged_out", reason: null },
  ]) {
    browser.stored = foreign;
    assert.equal(browser.open().session, null, JSON.stringify(foreign));
  }
  browser.stored = good;
  assert.equal(browser.open().session.id, "s1");
});

scenario("an older token in the storage does not replace a newer one", async (service, browser) => {
  const auth = await browser.loggedIn();
  const old = browser.stored;
  browser.letExpire();
  await call(auth);
  browser.stored = old;
  assert.equal(await auth.getAccessToken(), "at2");
  assert.equal(browser.stored.token, "at2");
});
