// Registration, login, the list of sessions and a new password.
import assert from "node:assert/strict";

import { call, refused, scenario } from "./support/index.mjs";

const alice = { email: "alice@example.com", password: "right" };

scenario("who registers or logs in is told who it is", async (service, browser) => {
  const auth = browser.open();
  const session = await auth.register({ ...alice, device_name: "Laptop", remember: false });
  assert.deepEqual(session, {
    id: "s1",
    user: { id: "user of alice@example.com", email: "alice@example.com", created_at: "" },
  });
  assert.deepEqual(auth.session, session);
  assert.deepEqual(JSON.parse(service.requests[0].body), { ...alice, device_name: "Laptop", remember: false });
  assert.equal((await auth.login(alice)).id, "s2");
  assert.deepEqual(auth.changes, ["started", "started"]);
});

scenario("a login that fails has a name and changes nothing", async (service, browser) => {
  const auth = await browser.loggedIn();
  const error = await refused(auth.login({ ...alice, password: "wrong" }), "invalid_credentials");
  assert.deepEqual([error.status, error.message], [401, "The detail of invalid_credentials."]);
  service.next("/auth/login", (call, response) =>
    service.problem(response, 429, "too_many_attempts", undefined, { "Retry-After": "30" }),
  );
  assert.equal((await refused(auth.login(alice), "too_many_attempts")).retryAfter, 30);
  service.next("/auth/login", (call, response) => response.writeHead(200).end("<h1>Welcome</h1>"));
  await refused(auth.login(alice), "bad_answer");
  // A person tries again, not the client.
  assert.deepEqual([service.count("/auth/login"), auth.session.id], [4, "s1"]);
});

scenario("sessions are listed and ended, with a refresh where it is due", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  assert.deepEqual(await auth.sessions.list(), [{ id: "s1", current: true }]);
  await auth.sessions.revoke("another/one");
  await auth.sessions.revokeOthers();
  const calls = service.requests.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(calls.slice(-2), ["DELETE /auth/sessions/another%2Fone", "DELETE /auth/sessions?keep=current"]);
  assert.equal(service.count("/auth/refresh"), 1);
  for (const answer of [{}, [], { sessions: 5 }]) {
    service.next("/auth/sessions", (call, response) => service.json(response, 200, answer));
    await refused(auth.sessions.list(), "bad_answer");
  }
});

for (const [name, act] of [
  ["its own session", (auth) => auth.sessions.revoke("s1")],
  ["all sessions", (auth) => auth.sessions.revokeAll()],
]) {
  scenario(`who ends ${name} is logged out in every tab`, async (service, browser) => {
    const auth = await browser.loggedIn();
    const other = browser.open();
    await act(auth);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([auth.changes.at(-1), other.changes.at(-1)], ["ended logged_out", "ended logged_out elsewhere"]);
  });
}

scenario("a session that was not ended at the service goes on here", async (service, browser) => {
  const auth = await browser.loggedIn();
  service.next("/auth/sessions", (call, response) => service.problem(response, 503, "storage_unavailable"));
  await refused(auth.sessions.revokeAll(), "storage_unavailable");
  // Not even where a fault has the code of a refusal.
  for (const code of ["token_expired", "session_revoked"]) {
    service.next("/auth/sessions", (call, response) => service.problem(response, 500, code));
    await refused(auth.sessions.revokeAll(), code);
  }
  assert.equal(service.count("/auth/refresh"), 0);
  assert.equal(auth.session.id, "s1");
});

scenario("a new password starts a new session, here and in the other tabs", async (service, browser) => {
  const auth = await browser.loggedIn();
  const other = browser.open();
  browser.letExpire();
  const passwords = { current_password: "right", new_password: "better" };
  assert.equal((await auth.changePassword(passwords)).id, "s2");
  assert.deepEqual(JSON.parse(service.requests.at(-1).body), passwords);
  assert.deepEqual([(await call(auth)).body.session, (await call(other)).body.session], ["s2", "s2"]);
  assert.deepEqual(auth.changes, ["started", "refreshed", "started"]);
  await refused(auth.changePassword({ ...passwords, current_password: "wrong" }), "wrong_password");
  assert.equal(auth.session.id, "s2");
});

scenario("a session that turns out to have ended is over for these calls, too", async (service, browser) => {
  const auth = await browser.loggedIn();
  service.revoke("s1");
  await refused(auth.sessions.list(), "session_revoked");
  assert.deepEqual([auth.session, auth.changes.at(-1)], [null, "ended session_revoked"]);
});
