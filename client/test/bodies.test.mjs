// A call that has to be sent twice brings the same body twice.
import assert from "node:assert/strict";

import { call, scenario, until } from "./support/index.mjs";

const streamOf = (text) =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });

scenario("every kind of body is sent again as it was", async (service, browser) => {
  const auth = await browser.loggedIn();
  const form = new FormData();
  form.append("name", "value");
  form.append("file", new File(["content"], "file.txt", { type: "text/plain" }));
  const url = `${service.origin}/api`;
  for (const [input, init] of [
    ["/api", { body: "a text" }],
    ["/api", { body: '{"a":1}', headers: { "Content-Type": "application/json" } }],
    ["/api", { body: new Blob(["a blob"], { type: "image/png" }) }],
    ["/api", { body: new URLSearchParams({ a: "1" }) }],
    ["/api", { body: new TextEncoder().encode("bytes") }],
    ["/api", { body: new TextEncoder().encode("more bytes").buffer }],
    ["/api", { body: form }],
    [new URL(url), { body: "" }],
    [new Request(url, { method: "POST", body: "of a request" }), {}],
    [new Request(url, { method: "POST", body: form }), {}],
    [new Request(url, { method: "POST", body: "replaced" }), { body: "by this" }],
    [new Request(url, { method: "POST", body: streamOf("of a stream"), duplex: "half" }), {}],
  ]) {
    browser.letExpire();
    const before = service.count("/api");
    const { status, body } = await call(auth, { method: "POST", ...init }, input);
    const [first, second, ...more] = service.requests.filter(({ path }) => path === "/api").slice(before);
    assert.deepEqual([status, more.length], [200, 0]);
    const boundary = /boundary=(.*)/;
    const shape = ({ body, type = "" }) => {
      const mark = boundary.exec(type)?.[1];
      return mark ? [body.replaceAll(mark, "-"), type.replace(mark, "-")] : [body, type];
    };
    assert.deepEqual(shape(second), shape(first));
    assert.deepEqual(shape(body), shape(first));
    assert.notEqual(first.token, second.token);
  }
});

scenario("headers and method are sent again as they were", async (service, browser) => {
  const auth = await browser.loggedIn();
  for (const [input, init] of [
    ["/api", { method: "PUT", headers: [["X-Key", "1"]] }],
    ["/api", { method: "PUT", headers: new Headers({ "X-Key": "1" }) }],
    [new Request(`${service.origin}/api`, { method: "PUT", headers: { "X-Key": "1" } })],
    [
      new Request(`${service.origin}/api`, { method: "POST", headers: { "X-Key": "2" } }),
      { method: "PUT", headers: { "X-Key": "1" } },
    ],
  ]) {
    browser.letExpire();
    assert.equal((await call(auth, init, input)).status, 200);
    for (const { method, key } of service.requests.slice(-3).filter(({ path }) => path === "/api")) {
      assert.deepEqual([method, key], ["PUT", "1"]);
    }
  }
});

scenario("a body that the caller changes meanwhile is sent again as it was", async (service, browser) => {
  const auth = await browser.loggedIn();
  const form = new URLSearchParams({ a: "1" });
  const bytes = new TextEncoder().encode("before");
  for (const [body, change] of [
    [form, () => form.set("a", "2")],
    [bytes, () => bytes.fill(120)],
    [bytes.buffer, () => bytes.fill(121)],
  ]) {
    browser.letExpire();
    let answer;
    service.next("/api", (call, response, go) => (answer = go));
    const sent = call(auth, { method: "POST", body });
    await until(() => answer);
    change();
    answer();
    assert.equal((await sent).status, 200);
    const [first, second] = service.requests.filter(({ path }) => path === "/api").slice(-2);
    assert.equal(second.body, first.body);
  }
});

scenario("a stream is refreshed for beforehand", async (service, browser) => {
  const auth = await browser.loggedIn();
  const upload = () => call(auth, { method: "POST", body: streamOf("a stream"), duplex: "half" });
  assert.equal((await upload()).body.body, "a stream");
  assert.equal(service.count("/auth/refresh"), 0);
  // So little is left that it may expire on its way.
  service.now += 1_791_000;
  browser.pass(1_791_000);
  assert.equal((await upload()).body.body, "a stream");
  assert.deepEqual([service.count("/api"), service.count("/auth/refresh")], [2, 1]);
});

scenario("a stream is not sent twice, but the next one finds a new token", async (service, browser) => {
  const auth = await browser.loggedIn();
  // By the service's clock alone, so that it cannot be foreseen here.
  service.now += 1_801_000;
  const upload = () => call(auth, { method: "POST", body: streamOf("a stream"), duplex: "half" });
  const { status, body } = await upload();
  assert.deepEqual([status, body.code, service.count("/api")], [401, "token_expired", 1]);
  assert.equal((await upload()).status, 200);
  assert.equal(service.count("/auth/refresh"), 1);
});
