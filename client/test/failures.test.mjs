// What fails is no logout: it is tried again with patience, named, and left alone for a while.
import assert from "node:assert/strict";

import { call, refused, scenario } from "./support/index.mjs";

const REFRESH = "/auth/refresh";
const PATIENCE = 4;

const html = (status) => (call, response) =>
  response.writeHead(status, { "Content-Type": "text/html" }).end("<h1>Please wait</h1>");
const json = (status, body) => (call, response, go, service) => service.json(response, status, body);
const problem = (status, code, headers) => (call, response, go, service) =>
  service.problem(response, status, code, undefined, headers);
const cut = (call, response) => response.destroy();
const cutInTheMiddle = (call, response) => {
  response.writeHead(200, { "Content-Length": 1000 });
  response.write('{"access_token":');
  setImmediate(() => response.destroy());
};

/** The next `times` requests meet this. */
function meet(service, path, times, fault) {
  for (let n = 0; n < times; n++) service.next(path, (...request) => fault(...request, service));
}

for (const [name, fault, code, status] of [
  ["500", problem(500, "storage_unavailable"), "storage_unavailable", 500],
  ["503", problem(503, "storage_unavailable"), "storage_unavailable", 503],
  ["429", problem(429, "too_many_attempts"), "too_many_attempts", 429],
  ["a failing network", cut, "network", 0],
  ["an answer that breaks off", cutInTheMiddle, "network", 0],
  ["a page of a proxy", html(200), "bad_answer", 200],
  ["a page of a proxy about an error", html(502), "bad_answer", 502],
  [
    "a redirect to somebody's login",
    (call, response) => response.writeHead(302, { Location: "/" }).end(),
    "bad_answer",
    302,
  ],
  ["a server that stood still", html(408), "bad_answer", 408],
  ["an empty answer", (call, response) => response.writeHead(200).end(), "bad_answer", 200],
  ["JSON of something else", json(200, { access_token: "at9" }), "bad_answer", 200],
  ["JSON of a wrong kind", json(200, ["at9"]), "bad_answer", 200],
  [
    "a life that is none",
    json(200, { access_token: "a", expires_in: "soon", session_id: "s1", user: { id: "u" } }),
    "bad_answer",
    200,
  ],
  ["the code of an end with the status of a fault", problem(503, "session_revoked"), "session_revoked", 503],
]) {
  scenario(`${name} at a refresh is no logout`, async (service, browser) => {
    const auth = await browser.loggedIn();
    browser.letExpire();
    // For a moment: nobody notices.
    meet(service, REFRESH, PATIENCE - 1, fault);
    assert.equal((await call(auth)).status, 200);
    assert.deepEqual([service.count(REFRESH), browser.pauses.length], [PATIENCE, PATIENCE - 1]);
    // For longer: it has a name, and the session is kept.
    browser.letExpire();
    meet(service, REFRESH, PATIENCE, fault);
    const error = await refused(auth.fetch("/api"), code);
    assert.deepEqual([error.name, error.status, error.transient], ["AuthError", status, true]);
    assert.equal(auth.session.id, "s1");
    browser.pass(60_000);
    assert.equal((await call(auth)).status, 200);
    assert(!auth.changes.some((change) => change.startsWith("ended")), auth.changes.join());
  });
}

for (const [name, fault, code] of [
  ["a refused origin", problem(403, "csrf_rejected"), "csrf_rejected"],
  ["a malformed request", problem(400, "invalid_request"), "invalid_request"],
  ["a wrong path", problem(404, "not_found"), "not_found"],
  ["a 401 of a proxy", html(401), "bad_answer"],
  ["a 401 with a code that is unknown here", problem(401, "of_the_future"), "of_the_future"],
]) {
  scenario(`${name} is told at once, and is no logout either`, async (service, browser) => {
    const auth = await browser.loggedIn();
    browser.letExpire();
    meet(service, REFRESH, 1, fault);
    assert.equal((await refused(auth.fetch("/api"), code)).transient, false);
    assert.deepEqual([service.count(REFRESH), auth.session.id], [1, "s1"]);
    browser.pass(60_000);
    assert.equal((await call(auth)).status, 200);
  });
}

scenario("a lost answer is asked for again with the same tokens", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  service.next(REFRESH, (call, response, go) => {
    response.end = response.write = response.writeHead = () => response;
    go();
    response.destroy();
  });
  assert.equal((await call(auth)).status, 200);
  const [first, second] = service.requests.filter(({ path }) => path === REFRESH);
  assert.deepEqual([second.token, second.cookie], [first.token, first.cookie]);
  assert.equal(service.rotations, 1);
});

scenario("an answer that does not come is given up, and asked for again", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  service.next(REFRESH, () => {});
  service.next(REFRESH, (call, response) => response.writeHead(200).write("{"));
  const answer = call(auth);
  await browser.timeOut(6_000);
  await browser.timeOut(6_000);
  assert.equal((await answer).status, 200);
  assert.equal(service.count(REFRESH), 3);
});

scenario("a service that never answers has a name, too", async (service, browser) => {
  const auth = browser.open();
  service.next("/auth/login", () => {});
  const login = auth.login({ email: "alice@example.com", password: "right" });
  await browser.timeOut(15_000);
  await refused(login, "timeout");
});

scenario("pauses grow, and differ from tab to tab", async (service, browser) => {
  const auth = await browser.loggedIn();
  for (const [random, pauses] of [
    [0, [250, 500, 1000]],
    [0.5, [375, 750, 1500]],
    [1, [500, 1000, 2000]],
  ]) {
    browser.letExpire();
    Object.assign(browser, { random, pauses: [] });
    meet(service, REFRESH, 3, cut);
    assert.equal((await call(auth)).status, 200);
    assert.deepEqual(browser.pauses, pauses);
  }
});

scenario("all attempts begin within the window of the service", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  browser.random = 1;
  meet(service, REFRESH, PATIENCE, () => {});
  const answer = auth.fetch("/api");
  for (let n = 0; n < PATIENCE; n++) await browser.timeOut(6_000);
  await refused(answer, "timeout");
  const waitedForLocks = 2_000 * (PATIENCE - 1);
  const waited = browser.pauses.reduce((sum, pause) => sum + pause) + 6_000 * (PATIENCE - 1) + waitedForLocks;
  assert(waited < 30_000, `the last one began after ${waited} ms`);
});

scenario("Retry-After is obeyed", async (service, browser) => {
  const auth = await browser.loggedIn();
  for (const [header, wait] of [
    ["3", 3_000],
    [new Date(service.now + 1_801_000 * 2 + 5_000).toUTCString(), 5_000],
    ["nonsense", 0],
    ["-1", 0],
  ]) {
    browser.letExpire();
    browser.pauses = [];
    meet(service, REFRESH, 1, problem(503, "overloaded", { "Retry-After": header }));
    assert.equal((await call(auth)).status, 200);
    assert.deepEqual(browser.pauses, [wait + 250], header);
  }
});

scenario("who is to wait for long does not wait, and does not ask before", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  meet(service, REFRESH, 1, problem(429, "too_many_attempts", { "Retry-After": "120" }));
  assert.equal((await refused(auth.fetch("/api"), "too_many_attempts")).retryAfter, 120);
  browser.pass(119_000);
  assert.equal((await refused(auth.fetch("/api"), "too_many_attempts")).retryAfter, 1);
  assert.equal(service.count(REFRESH), 1);
  browser.pass(1_000);
  assert.equal((await call(auth)).status, 200);
  assert.equal(service.count(REFRESH), 2);
});

scenario("after failures it rests, longer each time and for a minute at most", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  browser.random = 1;
  for (const rest of [1, 2, 4, 8, 16, 32, 60, 60]) {
    meet(service, REFRESH, PATIENCE, cut);
    await refused(auth.fetch("/api"), "network");
    const asked = service.count(REFRESH);
    assert.equal((await refused(auth.fetch("/api"), "network")).retryAfter, rest);
    browser.pass(rest * 1000 - 1);
    await refused(auth.getAccessToken(), "network");
    assert.equal(service.count(REFRESH), asked);
    browser.pass(1);
  }
  assert.equal((await call(auth)).status, 200);
});

scenario("after a success it starts with a short rest again", async (service, browser) => {
  service.life = 5;
  const auth = await browser.loggedIn();
  browser.random = 1;
  for (const rest of [1, 2]) {
    browser.letExpire();
    meet(service, REFRESH, PATIENCE, cut);
    await refused(auth.fetch("/api"), "network");
    assert.equal((await refused(auth.fetch("/api"), "network")).retryAfter, rest);
    browser.pass(rest * 1000);
  }
  assert.equal((await call(auth)).status, 200);
  browser.letExpire();
  meet(service, REFRESH, PATIENCE, cut);
  await refused(auth.fetch("/api"), "network");
  assert.equal((await refused(auth.fetch("/api"), "network")).retryAfter, 1);
});

scenario("with the network the patience comes back", async (service, browser) => {
  const auth = await browser.loggedIn();
  browser.letExpire();
  meet(service, REFRESH, PATIENCE, cut);
  await refused(auth.fetch("/api"), "network");
  await refused(auth.fetch("/api"), "network");
  assert.equal(service.count(REFRESH), PATIENCE);
  auth.tab.events.dispatchEvent(new Event("online"));
  assert.equal((await call(auth)).status, 200);
});

scenario("a failing call of the application is the application's", async (service, browser) => {
  const auth = await browser.loggedIn();
  meet(service, "/api", 1, cut);
  await assert.rejects(auth.fetch("/api"), { name: "TypeError" });
  meet(service, "/api", 1, html(502));
  assert.equal((await auth.fetch("/api")).status, 502);
  assert.deepEqual([service.count("/api"), auth.session.id], [2, "s1"]);
});
