// What goes wrong between browser and server, and logs nobody out.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { pause } from "./support/program.mjs";
import { Site, callApi, changesOf, sessionOf } from "./support/site.mjs";

const REFRESH = "POST /auth/refresh";

describe("nobody is logged out", { concurrency: true }, () => {
  let site;
  // A lost answer is asked for again within moments, but moments of a busy machine are long.
  before(async () => (site = await Site.open({ AUTHFLOW_REFRESH_GRACE: "30s" })));
  after(() => site?.close());

  /** Somebody whose JWT has expired, and whose next `times` refreshes meet this trouble. */
  async function inTrouble(times, trouble) {
    const person = await site.person();
    await person.expire();
    person.troubles = 0;
    person.wire.trouble = (call) => {
      if (call !== REFRESH || person.troubles === times) return undefined;
      person.troubles++;
      return trouble;
    };
    return person;
  }

  async function assertStillIn(person) {
    assert.equal((await sessionOf(person.tab)).id, person.session.id);
    assert.ok(!(await changesOf(person.tab)).some(({ type }) => type === "ended"));
    assert.ok(await person.cookie());
  }

  for (const [when, times, trouble] of [
    ["the answer to a refresh is lost after the commit", 1, "lose the answer"],
    ["the connection breaks before the server hears", 1, "cut"],
    ["refreshes are answered with 500 for a while", 2, 500],
    ["refreshes are answered with 503 for a while", 2, 503],
  ]) {
    it(`when ${when}`, async () => {
      const person = await inTrouble(times, trouble);
      assert.equal(await callApi(person.tab), 200);
      assert.equal(person.troubles, times);
      assert.equal(await site.program.generation(person.session.id), 1, "of a lost answer the same successor again");
      await assertStillIn(person);
    });
  }

  it("when the server is away for longer than the client tries", async () => {
    const person = await inTrouble(Infinity, 503);
    assert.equal(await callApi(person.tab), "bad_answer");
    await assertStillIn(person);
    person.wire.trouble = () => undefined;
    // The client rests after that, and says for how long.
    const seconds = await person.tab.evaluate(() => auth.fetch("/api/me").then(() => 0, (error) => error.retryAfter));
    await pause(seconds * 1000);
    assert.equal(await callApi(person.tab), 200);
    await assertStillIn(person);
  });

  it("when the device is offline for a while", async () => {
    const person = await site.person();
    await person.expire();
    await person.context.setOffline(true);
    const outcome = await person.tab.evaluate(() => auth.fetch("/api/me").then(() => "an answer", () => "none"));
    assert.equal(outcome, "none");
    await assertStillIn(person);
    await person.context.setOffline(false);
    assert.equal(await callApi(person.tab), 200);
    await assertStillIn(person);
  });
});
