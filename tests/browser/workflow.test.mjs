// The workflow, as a browser lives through it: log in, call, expire, refresh, repeat, log out.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Site, callApi, changesOf, sessionOf, storedJwt } from "./support/site.mjs";

const CALL = "GET /api/me";
const REFRESH = "POST /auth/refresh";

describe("in a browser", { concurrency: true }, () => {
  let site;
  before(async () => (site = await Site.open()));
  after(() => site?.close());

  it("a login gives a JWT for the page and a cookie that the page cannot see", async () => {
    const person = await site.person();
    await person.tab.evaluate(() => auth.logout());
    await person.tab.evaluate((credentials) => auth.login(credentials), person.credentials);
    assert.equal((await sessionOf(person.tab)).user.email, person.credentials.email);
    assert.match(await storedJwt(person.tab), /^eyJ/);
    assert.ok(await person.cookie());
    assert.equal(await callApi(person.tab), 200);
  });

  it("an expired JWT is refreshed once, and the call repeated", async () => {
    const person = await site.person();
    const used = await storedJwt(person.tab);
    const cookie = await person.cookie();
    await person.expire();
    const messages = await person.during(async () => assert.equal(await callApi(person.tab), 200));
    assert.deepEqual(messages, [CALL, REFRESH, CALL]);
    assert.notEqual(await storedJwt(person.tab), used);
    assert.notEqual((await person.cookie()).value, cookie.value);
    assert.equal(await site.program.generation(person.session.id), 1);
    assert.deepEqual(await person.during(() => callApi(person.tab)), [CALL], "the new one is used from then on");
  });

  it("a POST is repeated once, with its body", async () => {
    const person = await site.person();
    await person.expire();
    const change = "POST /auth/password";
    let code;
    const messages = await person.during(async () => {
      code = await person.tab.evaluate(async () => {
        const body = JSON.stringify({ current_password: "not this one", new_password: "a new and long one" });
        const headers = { "Content-Type": "application/json" };
        const answer = await auth.fetch("/auth/password", { method: "POST", headers, body });
        return (await answer.json()).code;
      });
    });
    assert.equal(code, "wrong_password", "the body was read, by a server that took the JWT");
    assert.deepEqual(messages, [change, REFRESH, change]);
  });

  it("a logout deletes the chain, the cookie and the JWT", async () => {
    const person = await site.person();
    const used = await storedJwt(person.tab);
    await person.tab.evaluate(() => auth.logout());
    assert.equal(await sessionOf(person.tab), null);
    assert.equal(await storedJwt(person.tab), undefined);
    assert.equal(await person.cookie(), undefined);
    const code = await person.tab.evaluate(async (jwt) => {
      const answer = await fetch("/api/me", { headers: { Authorization: `Bearer ${jwt}` } });
      return (await answer.json()).code;
    }, used);
    assert.equal(code, "session_revoked");
    const rows = `SELECT 1 FROM authflow.refresh_tokens WHERE session_id = '${person.session.id}'`;
    assert.deepEqual(await site.program.query(rows), []);
    assert.deepEqual((await changesOf(person.tab)).map(({ type, code }) => [type, code]).at(-1), ["ended", "logged_out"]);
  });
});
