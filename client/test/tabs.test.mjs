// Several tabs with one cookie: right without locks, and with them nearly always one refresh.
import assert from "node:assert/strict";

import { call, scenario, until } from "./support/index.mjs";

const REFRESH = "/auth/refresh";

async function fiveTabs(browser, options, surroundings) {
  const first = await browser.loggedIn(options, surroundings);
  return [first, ...Array.from({ length: 4 }, () => browser.open(options, surroundings))];
}

const codes = (answers) => answers.map(({ status }) => status);

scenario("tabs that expire at once refresh once, with locks", async (service, browser) => {
  const tabs = await fiveTabs(browser);
  for (let round = 1; round <= 10; round++) {
    browser.letExpire();
    assert.deepEqual(codes(await Promise.all(tabs.map((tab) => call(tab)))), [200, 200, 200, 200, 200]);
    assert.deepEqual([service.count(REFRESH), service.rotations], [round, round]);
  }
});

for (const [name, surroundings] of [
  ["without locks", { locks: undefined }],
  ["without locks, channel and events", { locks: undefined, channel: () => undefined, events: undefined }],
]) {
  scenario(`tabs that expire at once are all right ${name}`, async (service, browser) => {
    const tabs = await fiveTabs(browser, {}, surroundings);
    for (let round = 1; round <= 10; round++) {
      browser.letExpire();
      // Everybody has asked before anybody is answered.
      const answers = [];
      for (const _ of tabs) service.next(REFRESH, (call, response, go) => answers.push(go));
      const calls = Promise.all(tabs.map((tab) => call(tab)));
      await until(() => answers.length === tabs.length);
      for (const answer of answers) answer();
      assert.deepEqual(codes(await calls), [200, 200, 200, 200, 200]);
      assert.equal(service.rotations, round);
    }
    assert(tabs.every((tab) => tab.session.id === "s1"));
  });
}

const never = () => new Promise(() => {});
for (const [name, request] of [
  ["is never granted", never],
  ["is never granted and cannot be given up", () => ({ catch: never })],
  [
    "throws",
    () => {
      throw new DOMException("no", "SecurityError");
    },
  ],
  ["is refused", () => Promise.reject(new DOMException("no", "InvalidStateError"))],
]) {
  scenario(`a lock that ${name} hangs nothing`, async (service, browser) => {
    const auth = browser.open({}, { locks: { request } });
    const waits = !["throws", "is refused"].includes(name);
    const login = auth.login({ email: "alice@example.com", password: "right" });
    if (waits) await browser.timeOut(2_000);
    await login;
    browser.letExpire();
    const answer = call(auth);
    if (waits) await browser.timeOut(2_000);
    assert.equal((await answer).status, 200);
  });
}

scenario("a lock that another tab does not give back is not waited for", async (service, browser) => {
  const auth = await browser.loggedIn();
  auth.platform.locks.request("", { signal: new AbortController().signal }, never);
  browser.letExpire();
  const answer = call(auth);
  await browser.timeOut(2_000);
  assert.equal((await answer).status, 200);
});

scenario("a token that is there already is taken without waiting for a lock", async (service, browser) => {
  const auth = await browser.loggedIn();
  await auth.getAccessToken({ refused: "at1" });
  auth.platform.locks.request("", { signal: new AbortController().signal }, never);
  // Another tab has stored it, which this one sees only when the late 401 makes it look.
  let answer;
  service.next("/api", (call, response) => (answer = () => service.problem(response, 401, "token_expired")));
  const late = call(auth);
  await until(() => answer);
  const other = browser.open({}, { locks: undefined });
  assert.equal(await other.getAccessToken({ refused: "at2" }), "at3");
  answer();
  assert.equal((await late).status, 200);
});

scenario("a lock that is granted too late is given back at once", async (service, browser) => {
  let granted;
  const request = (name, options, work) => new Promise((resolve) => (granted = () => resolve(work())));
  const auth = browser.open({}, { locks: { request } });
  const login = auth.login({ email: "alice@example.com", password: "right" });
  await browser.timeOut(2_000);
  await login;
  await granted();
  assert.equal(service.count("/auth/login"), 1);
});

for (const [name, channel] of [
  [
    "cannot be opened",
    () => {
      throw new Error("no");
    },
  ],
  [
    "cannot be used",
    () => ({
      addEventListener() {},
      postMessage() {
        throw new Error("no");
      },
    }),
  ],
]) {
  scenario(`a channel that ${name} is done without`, async (service, browser) => {
    const auth = await browser.loggedIn({}, { channel });
    const other = browser.open({}, { channel });
    await auth.logout();
    await until(() => other.changes.length);
    assert.deepEqual(other.changes, ["ended logged_out elsewhere"]);
  });
}

scenario("what others say on the channel is not believed blindly", async (service, browser) => {
  const auth = await browser.loggedIn();
  const [channel] = auth.tab.channels;
  for (const data of [null, 5, "ended", {}, { ended: "s1" }, { ended: 1, code: 2 }, { started: {} }]) {
    channel.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
  assert.equal(auth.session.id, "s1");
});

scenario("no token is ever said on the channel", async (service, browser) => {
  const said = [];
  const channel = () => ({ addEventListener() {}, postMessage: (message) => said.push(message) });
  const auth = await browser.loggedIn({}, { channel });
  await call(auth);
  await auth.logout();
  assert.deepEqual(said, [{ started: "s1" }, { ended: "s1", code: "logged_out", reason: null }]);
});
