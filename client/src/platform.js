/** @import { Platform } from "./types.js" */

/** @returns {Platform} */
export function browser() {
  const { document, location, navigator, BroadcastChannel, addEventListener } = globalThis;
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    now: () => Date.now(),
    ticks: () => performance.now(),
    random: () => Math.random(),
    sleep,
    storage: (kind) => (kind === "local" ? globalThis.localStorage : globalThis.sessionStorage),
    locks: navigator?.locks,
    // Outside of a browser it would keep the process alive, and there are no tabs.
    channel: (name) => (document && BroadcastChannel ? new BroadcastChannel(name) : undefined),
    events: typeof addEventListener === "function" ? globalThis : undefined,
    here: document?.baseURI ?? location?.href,
    warn: (message, cause) => console.warn(`authflow: ${message}`, cause ?? ""),
  };
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
