// Expiry goes by the server's time, whatever the device's clock says.
import assert from "node:assert/strict";

import { scenario } from "./support/index.mjs";

const DAY = 86_400_000;

for (const [wrong, by] of [
  ["a day ahead", DAY],
  ["a day behind", -DAY],
]) {
  scenario(`a clock that is ${wrong} neither refreshes early nor late`, async (service, browser) => {
    browser.now += by;
    const auth = await browser.loggedIn();
    const both = (milliseconds) => {
      browser.pass(milliseconds);
      service.now += milliseconds;
    };
    both(1_780_000);
    assert.equal(await auth.getAccessToken(), "at1");
    assert.equal(await browser.open().getAccessToken(), "at1");
    both(15_000);
    assert.equal(await auth.getAccessToken(), "at2");
    assert.equal(service.count("/auth/refresh"), 1);
  });

  scenario(`a clock that jumps to ${wrong} is seen through at the next answer`, async (service, browser) => {
    const auth = await browser.loggedIn();
    browser.now += by;
    await auth.sessions.list();
    assert.equal(await auth.getAccessToken(), "at1");
    assert.equal(service.count("/auth/refresh"), 0);
    service.now += 1_795_000;
    browser.now += 1_795_000;
    assert.equal(await auth.getAccessToken(), "at2");
  });

  scenario(`a clock that jumps to ${wrong} unseen costs one refresh at most`, async (service, browser) => {
    const auth = await browser.loggedIn();
    browser.now += by;
    for (let calls = 0; calls < 5; calls++) await auth.getAccessToken();
    assert(service.count("/auth/refresh") <= 1);
    browser.letExpire();
    assert.equal((await auth.fetch("/api")).status, 200);
    assert.equal((await auth.fetch("/api")).status, 200);
    assert(service.count("/auth/refresh") <= 2);
  });
}

scenario("where no answer tells the time the device is believed", async (service, browser) => {
  const { fetch } = browser.open().platform;
  const withoutDate = async (...request) => {
    const response = await fetch(...request);
    const headers = new Headers(response.headers);
    headers.delete("Date");
    return new Response(response.status === 204 ? null : response.body, { status: response.status, headers });
  };
  const auth = await browser.loggedIn({ fetch: withoutDate });
  browser.pass(1_780_000);
  assert.equal(await auth.getAccessToken(), "at1");
  browser.pass(15_000);
  assert.equal(await auth.getAccessToken(), "at2");
});
