// What ends a session, and who learns of it.
import assert from "node:assert/strict";

import { call, refused, scenario, until } from "./support/index.mjs";

const REFRESH = "/auth/refresh";
const FINAL = ["session_revoked", "refresh_token_expired", "refresh_token_reused", "refresh_token_invalid"];
const DOUBTFUL = ["token_mismatch", "access_token_required", "token_invalid", "unauthorized"];

for (const code of FINAL) {
  scenario(`${code} at a refresh ends the session in every tab, with the reason`, async (service, browser) => {
    const auth = await browser.loggedIn();
    const other = browser.open();
    const reasons = [];
    for (const { onChange } of [auth, other])
      onChange(({ session, code, reason }) => reasons.push([session, code, reason]));
    browser.letExpire();
    service.next(REFRESH, (call, response) => service.problem(response, 401, code, "why"));
    const { status, body } = await call(auth);
    assert.deepEqual([status, body.code, auth.session], [401, "token_expired", null]);
    await until(() => reasons.length === 2);
    assert.deepEqual(reasons, [
      [null, code, "why"],
      [null, code, "why"],
    ]);
    assert.deepEqual([auth.changes.at(-1), other.changes.at(-1)], [`ended ${code}`, `ended ${code} elsewhere`]);
    assert.deepEqual([other.session, service.count(REFRESH)], [null, 1]);
    // Not even a token is left.
    assert(!JSON.stringify(browser.stored).includes("at1"), JSON.stringify(browser.stored));
    assert.equal((await call(other)).body.code, "unauthorized");
  });
}

for (const code of DOUBTFUL) {
  scenario(`${code} at a refresh counts from the second time on`, async (service, browser) => {
    const auth = await browser.loggedIn();
    const doubt = (call, response) => service.problem(response, 401, code);
    browser.letExpire();
    service.next(REFRESH, doubt);
    assert.equal((await call(auth)).status, 200);
    assert.deepEqual([service.count(REFRESH), browser.pauses], [2, [300]]);
    browser.letExpire();
    service.next(REFRESH, doubt);
    service.next(REFRESH, doubt);
    assert.equal((await call(auth)).status, 401);
    assert.deepEqual([service.count(REFRESH), auth.changes.at(-1)], [4, `ended ${code}`]);
  });

  scenario(`after ${code} a token that another tab has stored meanwhile is used`, async (service, browser) => {
    const auth = await browser.loggedIn();
    browser.letExpire();
    service.next(REFRESH, (call, response) => {
      const user = auth.session.user;
      browser.stored = { ...browser.stored, token: "of another tab", session: "s2", user };
      service.problem(response, 401, code);
    });
    assert.equal(await auth.getAccessToken({ refused: "at1" }), "of another tab");
    assert.deepEqual([service.count(REFRESH), auth.session.id], [1, "s2"]);
  });
}

scenario(
  "a session that the guard says has ended is over in every tab, with what a refresh says",
  async (service, browser) => {
    const auth = await browser.loggedIn();
    const other = browser.open();
    const reasons = [];
    for (const { onChange } of [auth, other]) onChange(({ reason }) => reasons.push(reason));
    service.revoke("s1", "session_revoked", "password_changed");
    const { status, body } = await call(auth);
    assert.deepEqual([status, body.code], [401, "session_revoked"]);
    await until(() => other.changes.length);
    assert.deepEqual(
      [auth.changes.at(-1), other.changes.at(-1)],
      ["ended session_revoked", "ended session_revoked elsewhere"],
    );
    assert.deepEqual([reasons, service.count(REFRESH)], [["password_changed", "password_changed"], 1]);
    assert.equal((await call(other)).body.code, "unauthorized");
    assert.equal(service.count(REFRESH), 1);
  },
);

const SILENT = {
  "goes lost": (call, response) => response.destroy(),
  "is late": () => {},
  "is about another session": (call, response, service) => service.problem(response, 401, "token_mismatch", "why"),
  "is a success": (call, response, service) => service.json(response, 200, { access_token: "at9" }),
};
for (const [what, answer] of Object.entries(SILENT)) {
  scenario(
    `a session that the guard says has ended is over if the answer that would tell why ${what}`,
    async (service, browser) => {
      const auth = await browser.loggedIn();
      const reasons = [];
      auth.onChange(({ reason }) => reasons.push(reason));
      service.revoke("s1", "session_revoked", "password_changed");
      service.next(REFRESH, (call, response) => answer(call, response, service));
      const answered = call(auth);
      await until(() => service.count(REFRESH));
      if (what === "is late") await browser.timeOut(2_000);
      assert.equal((await answered).body.code, "session_revoked");
      assert.deepEqual([auth.session, auth.changes.at(-1), reasons], [null, "ended session_revoked", [null]]);
      assert.equal(service.count(REFRESH), 1);
    },
  );
}

scenario("a session that ends between the 401 and the repeat is over", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  service.next(REFRESH, (call, response, go) => (go(), service.revoke("s1")));
  const { status, body } = await call(auth);
  assert.deepEqual([status, body.code, auth.changes.at(-1)], [401, "session_revoked", "ended session_revoked"]);
});

scenario("a refusal of an old session says nothing about the new one", async (service, browser) => {
  const auth = await browser.loggedIn();
  let answer;
  service.next("/api", (call, response, go) => (answer = go));
  const late = call(auth);
  await until(() => answer);
  service.revoke("s1");
  await browser.loggedIn();
  answer();
  assert.equal((await late).status, 200);
  assert.equal(auth.session.id, "s2");
  assert(!auth.changes.some((change) => change.startsWith("ended")), auth.changes.join());
});

scenario("while another tab logs in, the end of the old session is not told", async (service, browser) => {
  const auth = await browser.loggedIn();
  const other = browser.open();
  let answer;
  service.next("/auth/login", (call, response, go) => (answer = go));
  const login = other.login({ email: "alice@example.com", password: "right" });
  await until(() => answer);
  service.revoke("s1");
  const refusedMeanwhile = call(auth);
  await until(() => service.count("/api"));
  answer();
  await login;
  assert.equal((await refusedMeanwhile).status, 200);
  assert.deepEqual([auth.session.id, auth.changes], ["s2", ["started", "started elsewhere"]]);
});

scenario("a logout ends every tab before the service has answered", async (service, browser) => {
  const auth = await browser.loggedIn();
  const other = browser.open();
  let answer;
  service.next("/auth/logout", (call, response, go) => (answer = go));
  const logout = auth.logout();
  await until(() => answer && other.changes.length);
  assert.deepEqual([auth.session, other.session], [null, null]);
  assert.deepEqual([auth.changes.at(-1), other.changes.at(-1)], ["ended logged_out", "ended logged_out elsewhere"]);
  answer();
  await logout;
  assert.equal(browser.cookie, undefined);
});

scenario("a logout that does not reach the service says so, and can be repeated", async (service, browser) => {
  const auth = await browser.loggedIn();
  for (let n = 0; n < 4; n++) service.next("/auth/logout", (call, response) => response.destroy());
  await refused(auth.logout(), "network");
  assert.deepEqual([auth.session, browser.cookie], [null, "refresh=s1.0"]);
  await auth.logout();
  assert.equal(browser.cookie, undefined);
  // There is nothing to end now, which is what was wanted.
  await auth.logout();
});

scenario("an answer to a refresh that comes after the logout brings nothing back", async (service, browser) => {
  const auth = await browser.loggedIn();
  const other = browser.open();
  browser.letExpire();
  let answer;
  service.next(REFRESH, (call, response, go) => (answer = go));
  const late = call(auth);
  await until(() => answer);
  await other.logout();
  answer();
  assert.equal((await late).status, 401);
  assert.deepEqual([auth.session, other.session, browser.stored.code], [null, null, "logged_out"]);
});

scenario("an answer to a refresh that comes after another login changes nothing", async (service, browser) => {
  const auth = await browser.loggedIn({}, { locks: undefined });
  browser.letExpire();
  let answer;
  service.next(REFRESH, (call, response, go) => (answer = go));
  const late = call(auth);
  await until(() => answer);
  await browser.open({}, { locks: undefined }).login({ email: "bob@example.com", password: "right" });
  answer();
  await late;
  assert.deepEqual([auth.session.id, browser.stored.session], ["s2", "s2"]);
});

scenario("what another tab stores of an ended session is put right", async (service, browser) => {
  const auth = await browser.loggedIn();
  const before = browser.stored;
  await auth.logout();
  browser.stored = before;
  assert.equal(auth.session, null);
  assert.equal(browser.stored.code, "logged_out");
  // And an ended session that is not the own one ends nothing.
  await auth.login({ email: "alice@example.com", password: "right" });
  browser.stored = { ended: "s1", code: "logged_out", reason: null };
  assert.equal(auth.session.id, "s2");
  assert.equal(browser.stored.session, "s2");
});

scenario("a tab that was frozen learns the end when it comes back", async (service, browser) => {
  const auth = await browser.loggedIn();
  const frozen = browser.open({}, { channel: () => undefined });
  const thaw = frozen.tab.events;
  frozen.tab.events = new EventTarget();
  await auth.logout();
  assert.deepEqual(frozen.changes, []);
  thaw.dispatchEvent(new Event("pageshow"));
  assert.deepEqual(frozen.changes, ["ended logged_out elsewhere"]);
});

scenario("a listener that throws disturbs nobody, and one that is gone is not called", async (service, browser) => {
  const auth = browser.open();
  const heard = [];
  auth.onChange(() => {
    throw new Error("of a listener");
  });
  const stop = auth.onChange(({ type }) => heard.push(type));
  await auth.login({ email: "alice@example.com", password: "right" });
  stop();
  await auth.logout();
  assert.deepEqual([heard, auth.changes], [["started"], ["started", "ended logged_out"]]);
  assert.equal(browser.warnings.length, 2);
});

scenario("a closed client hears nothing any more", async (service, browser) => {
  const auth = await browser.loggedIn();
  const closed = browser.open();
  closed.close();
  await auth.logout();
  assert.deepEqual(closed.changes, []);
});
