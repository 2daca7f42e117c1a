// Several tabs, and several browsers, with one session. All people here live at the same time.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { eventually, pause } from "./support/program.mjs";
import { Person, Site, callApi, changesOf, sessionOf, storedJwt } from "./support/site.mjs";

const ROUNDS = 3;
/** Longer than the window. */
const LATER = 2_500;

/** A browser without what the client saves work with: it has to be right all the same. */
const WITHOUT_LOCKS = () => {
  Object.defineProperty(Navigator.prototype, "locks", { value: undefined });
  delete globalThis.BroadcastChannel;
};

/** A device whose clock is wrong. */
const withClock = (milliseconds) => `{
  const Right = Date;
  globalThis.Date = class extends Right {
    constructor(...given) { given.length ? super(...given) : super(Right.now() + ${milliseconds}); }
    static now() { return Right.now() + ${milliseconds}; }
  };
}`;
const DAY = 86_400_000;

const ended = (tab) =>
  eventually("the tab is told of the end", async () => (await changesOf(tab)).find(({ type }) => type === "ended"));

describe("with one session", { concurrency: true }, () => {
  let site;
  before(async () => (site = await Site.open()));
  after(() => site?.close());

  for (const [tabs, script, most] of [
    [2, undefined, 1],
    [5, undefined, 2],
    [5, WITHOUT_LOCKS, 2],
  ]) {
    const without = script ? " without locks and channels" : "";
    it(`${tabs} tabs${without} whose JWT expires, over and over, stay logged in with at most ${most} rotations`, async () => {
      const person = await site.person({ tabs, script });
      for (let round = 0; round < ROUNDS; round++) {
        const before = await site.program.generation(person.session.id);
        await person.expire();
        assert.deepEqual(await person.callFromAll(), Array(tabs).fill(200));
        const rotations = (await site.program.generation(person.session.id)) - before;
        assert.ok(rotations >= 1 && rotations <= most, `${rotations} rotations in round ${round}`);
      }
      for (const tab of person.tabs) {
        assert.equal((await sessionOf(tab)).id, person.session.id);
        assert.ok(!(await changesOf(tab)).some(({ type }) => type === "ended"));
      }
    });
  }

  it("a logout in one tab ends all, and says so", async () => {
    const person = await site.person({ tabs: 3 });
    await person.tabs[1].evaluate(() => auth.logout());
    for (const tab of person.tabs) {
      const { code, elsewhere } = await ended(tab);
      assert.deepEqual([code, elsewhere], ["logged_out", tab !== person.tabs[1]]);
      assert.equal(await sessionOf(tab), null);
      assert.equal(await callApi(tab), 401);
    }
  });

  it("a login in one tab is one in all", async () => {
    const person = await site.person({ tabs: 2 });
    await person.tabs[0].evaluate(() => auth.logout());
    const session = await person.tabs[1].evaluate((credentials) => auth.login(credentials), person.credentials);
    await eventually("the other tab knows", async () => (await sessionOf(person.tabs[0]))?.id === session.id);
    assert.deepEqual(await person.callFromAll(), [200, 200]);
  });

  it("a copied profile is found out, and the end has a reason on both sides", async () => {
    const owner = await site.person();
    const storageState = await owner.context.storageState();
    const thief = new Person(await site.browser.newContext({ storageState }), owner.wire, owner.url);
    thief.tabs = [await thief.open()];
    await owner.expire();
    assert.equal(await callApi(thief.tab), 200, "the thief is quicker");
    await pause(LATER);
    assert.equal(await callApi(owner.tab), 401);
    assert.equal((await ended(owner.tab)).code, "refresh_token_reused");
    assert.equal(await callApi(thief.tab), 401);
    const { code, reason } = await ended(thief.tab);
    assert.deepEqual([code, reason], ["session_revoked", "reuse"]);
  });

  for (const [wrong, milliseconds] of [["a day ahead", DAY], ["a day behind", -DAY]]) {
    it(`a device whose clock is ${wrong} refreshes once for each expiry`, async () => {
      const person = await site.person({ script: withClock(milliseconds) });
      assert.equal(await callApi(person.tab), 200);
      assert.equal(await site.program.generation(person.session.id), 0, "nothing was refreshed early");
      await person.expire();
      assert.equal(await callApi(person.tab), 200);
      assert.equal(await site.program.generation(person.session.id), 1);
      assert.equal((await sessionOf(person.tab)).id, person.session.id);
    });
  }

  it("a storage that is wiped is mended by an open tab", async () => {
    const person = await site.person();
    await person.tab.evaluate(() => localStorage.clear());
    assert.equal(await callApi(person.tab), 200);
    assert.ok(await storedJwt(person.tab));
    const another = await person.open();
    assert.equal((await sessionOf(another)).id, person.session.id);
  });

  it("a storage that is wiped before a reload asks for a login, which works", async () => {
    const person = await site.person();
    // As a cleaner does it: while no page of the site is open.
    await person.tab.goto("about:blank");
    const cleaner = await person.context.newPage();
    await cleaner.goto(new URL("/nowhere", person.url).href);
    await cleaner.evaluate(() => localStorage.clear());
    await person.tab.goto(person.url);
    await person.tab.waitForFunction(() => globalThis.auth);
    assert.equal(await sessionOf(person.tab), null);
    assert.equal(await callApi(person.tab), 401);
    await person.tab.evaluate((credentials) => auth.login(credentials), person.credentials);
    assert.equal(await callApi(person.tab), 200);
  });
});

describe("with the JWT in memory only", () => {
  let site;
  before(async () => (site = await Site.open({ AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN: "false" })));
  after(() => site?.close());

  it("a reload and a second tab go on by the cookie", async () => {
    const person = await site.person({ storage: "memory" });
    assert.equal(await storedJwt(person.tab), undefined);
    await person.tab.reload();
    await person.tab.waitForFunction(() => globalThis.auth);
    const another = await person.open();
    for (const tab of [person.tab, another]) {
      assert.equal((await tab.evaluate(() => auth.restore())).id, person.session.id);
      assert.equal(await callApi(tab), 200);
    }
  });
});
