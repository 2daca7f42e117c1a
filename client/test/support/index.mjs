import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthError } from "../../src/errors.js";
import { Browser } from "./browser.mjs";
import { Service } from "./service.mjs";

export { until } from "./browser.mjs";
export { Browser, Service };

/** A test with a service and a browser of its own. */
export function scenario(name, act) {
  test(name, { timeout: 20_000 }, async () => {
    const service = await Service.start();
    try {
      await act(service, new Browser(service));
    } finally {
      await service.stop();
    }
  });
}

/** Asserts that this ends in an `AuthError` of this code, and returns it. */
export const refused = (promise, code) => refusedBy(AuthError, promise, code);

/** The same for the `AuthError` of another copy of the client. */
export async function refusedBy(kind, promise, code) {
  const error = await promise.then(
    (value) => assert.fail(`got ${JSON.stringify(value)} instead of ${code}`),
    (error) => error,
  );
  assert(error instanceof kind, String(error?.stack ?? error));
  assert.equal(error.code, code, error.message);
  return error;
}

/** Calls the guarded API, and returns status and body. */
export async function call(auth, init, path = "/api") {
  const response = await auth.fetch(path, init);
  return { status: response.status, body: await response.json().catch(() => undefined) };
}
