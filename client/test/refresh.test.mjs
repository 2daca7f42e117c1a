// A call, its 401, one refresh, and the call again.
import assert from "node:assert/strict";

import { call, refused, scenario, until } from "./support/index.mjs";

scenario("an expired token is refreshed once and the call repeated", async (service, browser) => {
  const auth = await browser.loggedIn();
  assert.equal((await call(auth)).status, 200);
  browser.letExpire();
  assert.equal((await call(auth)).status, 200);
  assert.equal((await call(auth)).status, 200);
  const calls = service.requests.map(({ path, token }) => `${path} ${token}`).slice(1);
  assert.deepEqual(calls, ["/api at1", "/api at1", "/auth/refresh at1", "/api at2", "/api at2"]);
  assert.deepEqual(auth.changes, ["started", "refreshed"]);
});

scenario("calls that are refused together wait for one refresh", async (service, browser) => {
  // Without locks, so that nothing but the tab itself keeps them together.
  const auth = await browser.loggedIn({}, { locks: undefined });
  browser.letExpire();
  const calls = await Promise.all(Array.from({ length: 10 }, () => call(auth)));
  assert.deepEqual(new Set(calls.map(({ status }) => status)), new Set([200]));
  assert.equal(service.count("/auth/refresh"), 1);
});

scenario("they do so even where every token so far was refused young", async (service, browser) => {
  const auth = await browser.loggedIn({}, { locks: undefined });
  const refusals = [];
  for (let n = 0; n < 10; n++) {
    service.next("/api", (call, response) => refusals.push(() => service.problem(response, 401, "token_invalid")));
  }
  const answers = Promise.all(Array.from({ length: 10 }, () => call(auth)));
  await until(() => refusals.length === 10);
  for (const refuse of refusals) refuse();
  const calls = await answers;
  assert.deepEqual(new Set(calls.map(({ status }) => status)), new Set([200]));
  assert.equal(service.count("/auth/refresh"), 1);
});

scenario("a late 401 for an old token does not refresh again", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  let answer;
  service.next("/late", (call, response, go) => (answer = go));
  const late = call(auth, {}, "/late");
  await until(() => answer);
  assert.equal((await call(auth)).status, 200);
  answer();
  assert.equal((await late).status, 200);
  assert.equal(service.count("/auth/refresh"), 1);
  assert.deepEqual(service.requests.slice(-1)[0].token, "at2");
});

scenario("a tab that finds a newer token in the storage uses it", async (service, browser) => {
  const first = await browser.loggedIn();
  // It hears nothing: no event, no channel.
  const second = browser.open({}, { events: undefined, channel: () => undefined });
  assert.equal((await call(second)).status, 200);
  browser.letExpire();
  assert.equal((await call(first)).status, 200);
  assert.equal((await call(second)).status, 200);
  assert.equal(service.count("/auth/refresh"), 1);
  assert.equal(service.requests.slice(-1)[0].token, "at2");
});

scenario("a token that the guard calls invalid is refreshed once", async (service, browser) => {
  const auth = await browser.loggedIn();
  service.next("/api", (call, response) => service.problem(response, 401, "token_invalid"));
  assert.equal((await call(auth)).status, 200);
  assert.equal(service.count("/auth/refresh"), 1);
});

scenario("a service that refuses every token is not answered with a storm of refreshes", async (service, browser) => {
  const auth = await browser.loggedIn();
  const refuseAll = () => {
    const refuse = (call, response) => (service.next("/api", refuse), service.problem(response, 401, "token_invalid"));
    service.next("/api", refuse);
  };
  refuseAll();
  for (let calls = 0; calls < 20; calls++) {
    const { status, body } = await call(auth);
    assert.deepEqual([status, body.code], [401, "token_invalid"]);
  }
  assert.equal(service.count("/auth/refresh"), 6);
  // It tries again, less and less often.
  for (let seconds = 0; seconds < 120; seconds++) {
    browser.pass(1_000);
    service.now += 1_000;
    assert.equal((await call(auth)).status, 401);
  }
  const refreshes = service.count("/auth/refresh") - 6;
  assert(refreshes > 3 && refreshes < 10, `${refreshes} more refreshes in two minutes`);
  assert.notEqual(auth.session, null);
});

scenario(
  "a refusal that says when to come back is not answered with a refresh before then",
  async (service, browser) => {
    const auth = await browser.loggedIn();
    const refuse = () =>
      service.next("/api", (call, response) =>
        service.problem(response, 401, "token_invalid", undefined, {
          "Retry-After": new Date(service.now + 5_000).toUTCString(),
        }),
      );
    for (const [milliseconds, refreshes] of [
      [0, 1],
      [4_000, 1],
      [1_000, 2],
    ]) {
      browser.pass(milliseconds);
      service.now += milliseconds;
      refuse();
      await call(auth);
      assert.equal(service.count("/auth/refresh"), refreshes);
    }
  },
);

scenario("an answer that a refresh cannot change is returned as it came", async (service, browser) => {
  const auth = await browser.loggedIn();
  for (const [status, code] of [
    [401, "invalid_credentials"],
    [401, "unauthorized"],
    [403, "forbidden"],
    [404, "not_found"],
    [429, "too_many_attempts"],
    [500, "token_expired"],
    [503, "overloaded"],
  ]) {
    service.next("/api", (call, response) => service.problem(response, status, code));
    const answer = await call(auth);
    assert.deepEqual([answer.status, answer.body.code], [status, code]);
  }
  for (const body of ["", "<html>token_expired</html>", "[]", "null", '"token_expired"', '{"code":5}']) {
    service.next("/api", (call, response) => response.writeHead(401).end(body));
    const answer = await auth.fetch("/api");
    assert.deepEqual([answer.status, await answer.text()], [401, body]);
  }
  assert.equal(service.count("/auth/refresh"), 0);
  assert.notEqual(auth.session, null);
});

scenario("the second answer is final", async (service, browser) => {
  const auth = await browser.loggedIn();
  const refuse = (call, response) => service.problem(response, 401, "token_expired");
  service.next("/api", refuse);
  service.next("/api", refuse);
  assert.equal((await call(auth)).status, 401);
  assert.deepEqual([service.count("/api"), service.count("/auth/refresh")], [2, 1]);
});

scenario("what one user began is not finished in the name of another", async (service, browser) => {
  const auth = await browser.loggedIn();
  const other = browser.open();
  browser.letExpire();
  let answer;
  service.next("/api", (call, response, go) => (answer = go));
  const late = call(auth, { method: "POST", body: "pay" });
  await until(() => answer);
  await other.login({ email: "bob@example.com", password: "right" });
  answer();
  assert.equal((await late).status, 401);
  assert.equal(service.count("/api"), 1);
  assert.equal(auth.session.user.email, "bob@example.com");
});

scenario("nor is a stream begun, or another library's call repeated", async (service, browser) => {
  for (const act of [
    async (auth) => (await call(auth, { method: "POST", body: new Blob(["pay"]).stream(), duplex: "half" })).status,
    (auth) => auth.getAccessToken({ refused: browser.stored.token }),
  ]) {
    const auth = await browser.loggedIn();
    browser.letExpire();
    let answer;
    service.next("/auth/refresh", (call, response, go) => (answer = go));
    const late = act(auth);
    await until(() => answer);
    await browser.open({}, { locks: undefined }).login({ email: "bob@example.com", password: "right" });
    answer();
    assert([401, null].includes(await late));
    assert.equal(auth.session.user.email, "bob@example.com");
    assert(!service.requests.some(({ path, token }) => path === "/api" && token === browser.stored.token));
  }
});

scenario("whoever waits for a refresh may stop waiting, and the others go on", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  let answer;
  service.next("/auth/refresh", (call, response, go) => (answer = go));
  const stop = new AbortController();
  const impatient = auth.fetch("/api", { signal: stop.signal });
  const token = auth.getAccessToken({ refused: "at1", signal: stop.signal });
  const patient = call(auth);
  await until(() => answer);
  stop.abort();
  await assert.rejects(impatient, { name: "AbortError" });
  await assert.rejects(token, { name: "AbortError" });
  answer();
  assert.equal((await patient).status, 200);
  assert.equal(service.count("/auth/refresh"), 1);
  await assert.rejects(auth.fetch("/api", { signal: AbortSignal.abort() }), { name: "AbortError" });
  await assert.rejects(auth.getAccessToken({ signal: AbortSignal.abort() }), { name: "AbortError" });
});

scenario("other libraries get a token that is good, or a newer one than was refused", async (service, browser) => {
  const auth = browser.open();
  assert.equal(await auth.getAccessToken(), null);
  await auth.login({ email: "alice@example.com", password: "right" });
  assert.equal(await auth.getAccessToken(), "at1");
  assert.equal(await auth.getAccessToken({ refused: "at1" }), "at2");
  assert.equal(await auth.getAccessToken({ refused: "at1" }), "at2");
  browser.letExpire();
  browser.pass(1_801_000);
  assert.equal(await auth.getAccessToken(), "at3");
  service.revoke("s1");
  assert.equal(await auth.getAccessToken({ refused: "at3" }), null);
});

scenario("the fetch of the page is not called as a method", async (service, browser) => {
  const receivers = new Set();
  const { fetch } = browser.open().platform;
  const auth = browser.open({
    fetch(input, init) {
      receivers.add(this);
      return fetch(input, init);
    },
  });
  await auth.login({ email: "alice@example.com", password: "right" });
  await call(auth);
  assert.deepEqual(receivers, new Set([undefined]));
  const { fetch: taken, getAccessToken } = auth;
  assert.equal((await taken("/api")).status, 200);
  assert.equal(await getAccessToken(), "at1");
});

scenario("without a session a call is sent as it is", async (service, browser) => {
  const auth = browser.open();
  const { status, body } = await call(auth);
  assert.deepEqual([status, body.code, service.requests[0].token], [401, "unauthorized", undefined]);
  assert.equal(service.count("/auth/refresh"), 0);
  await refused(auth.sessions.list(), "unauthorized");
});
