// The refresh cookie in the hands of a real browser: what it keeps from scripts, sends, and lets nobody overwrite.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";

import { Site, callApi, sessionOf } from "./support/site.mjs";

const NAME = "__Host-Http-refresh_token";

describe("the refresh cookie", { concurrency: true }, () => {
  let site;
  before(async () => (site = await Site.open()));
  after(() => site?.close());

  for (const host of ["127.0.0.1", "localhost"]) {
    it(`is Secure and HttpOnly, and is sent to ${host} without TLS`, async () => {
      const person = await site.person({ host });
      const { name, httpOnly, secure, sameSite, path, domain, expires } = await person.cookie();
      assert.deepEqual({ name, httpOnly, secure, sameSite, path, domain }, {
        name: NAME, httpOnly: true, secure: true, sameSite: "Strict", path: "/", domain: host,
      });
      assert.ok(expires > Date.now() / 1000 + 13 * 86_400);
      assert.equal(await person.tab.evaluate(() => document.cookie), "");
      assert.equal(await person.tab.evaluate(() => cookieStore.getAll().then((all) => all.length)), 0);
      await person.expire();
      assert.equal(await callApi(person.tab), 200, "no refresh without the cookie");
    });
  }

  it("cannot be overwritten or shadowed by a script or by weaker cookies of a neighbour", async () => {
    const person = await site.person({ host: "localhost" });
    const own = (await person.cookie()).value;
    // Ports of one host share their cookies.
    const weaker = [
      `${NAME}=evil; Path=/`,
      `${NAME}=evil; Path=/; Secure`,
      `${NAME}=evil; Path=/; HttpOnly`,
      `${NAME}=evil; Path=/auth; Secure; HttpOnly`,
      `${NAME}=evil; Path=/; Secure; HttpOnly; Domain=localhost`,
      `${NAME.toLowerCase()}=evil; Path=/auth`,
      `%5F%5FHost-Http-refresh_token=evil; Path=/auth`,
      `=${NAME}=evil; Path=/auth`,
      "refresh_token=evil; Path=/auth",
    ];
    await visitNeighbour(person, weaker);
    await person.tab.evaluate((cookies) => cookies.forEach((cookie) => (document.cookie = cookie)), weaker);
    const tossed = (await person.context.cookies()).filter((cookie) => cookie.value.includes("evil"));
    assert.ok(tossed.length > 0, "the harmless ones were stored, so the others were offered as well");
    assert.ok(tossed.every((cookie) => cookie.name !== NAME), JSON.stringify(tossed));
    assert.equal((await person.cookie()).value, own);
    await person.expire();
    assert.equal(await callApi(person.tab), 200);
  });

  it("of somebody else, tossed under our name, puts nobody into their session", async () => {
    const [victim, attacker] = [await site.person({ host: "localhost" }), await site.person({ host: "localhost" })];
    const { value } = await attacker.cookie();
    await visitNeighbour(victim, [`${NAME}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict`]);
    assert.equal((await victim.cookie()).value, value, "a neighbour that is trusted with the host can do that");
    await victim.expire();
    assert.equal(await callApi(victim.tab), 401);
    const session = await sessionOf(victim.tab);
    assert.ok(session === null || session.user.id === victim.session.user.id);
    assert.equal(await site.program.generation(attacker.session.id), 0, "and nothing of the other was used up");
    await victim.tab.evaluate((credentials) => auth.login(credentials), victim.credentials);
    assert.equal(await callApi(victim.tab), 200);
  });

  /** Opens a page of another port of the same host, which sets these cookies. */
  async function visitNeighbour(person, cookies) {
    const neighbour = createServer((_, answer) => answer.writeHead(200, { "set-cookie": cookies }).end());
    neighbour.listen(0, "127.0.0.1");
    await once(neighbour, "listening");
    const tab = await person.context.newPage();
    await tab.goto(`http://localhost:${neighbour.address().port}/`);
    await tab.close();
    neighbour.close();
    neighbour.closeAllConnections();
  }
});
