import { AuthError } from "./errors.js";

/** @import { Platform } from "./types.js" */

const ATTEMPTS = 4;
// Milliseconds.
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8_000;
const FIRST_REST = 1_000;
const LONGEST_REST = 60_000;
const LONGEST_RETRY_AFTER = 3_600_000;

/**
 * Repeats what fails for a moment, with growing pauses that differ from tab to tab.
 *
 * @template T
 * @param {Platform} platform
 * @param {() => Promise<T>} attempt
 */
export async function patiently(platform, attempt) {
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof AuthError) || !error.transient || failures + 1 === ATTEMPTS) throw error;
      const wait = error.retryAfter * 1000 + pause(FIRST_PAUSE, failures, platform.random());
      if (wait > LONGEST_PAUSE) throw error;
      await platform.sleep(wait);
    }
  }
}

/** Rests after failures, longer each time; forgets them after a while without. */
export class Breaker {
  #platform;
  #tolerated;
  #failures = 0;
  #until = 0;
  /** @type {AuthError | undefined} */
  #error;

  /**
   * @param {Platform} platform
   * @param {number} [tolerated] How many failures it does not rest after.
   */
  constructor(platform, tolerated = 0) {
    this.#platform = platform;
    this.#tolerated = tolerated;
  }

  /** Throws what failed last, while it rests. */
  check() {
    const left = this.#until - this.#platform.ticks();
    if (!this.#error || left <= 0) return;
    const { code, message, status, reason, cause } = this.#error;
    throw new AuthError(code, message, { status, reason, cause, retryAfter: Math.ceil(left / 1000) });
  }

  /** @param {AuthError} error */
  failed(error) {
    const now = this.#platform.ticks();
    if (now - this.#until > LONGEST_REST) this.#failures = 0;
    const beyond = this.#failures - this.#tolerated;
    const rest = beyond < 0 ? 0 : pause(FIRST_REST, beyond, this.#platform.random());
    const asked = Math.min(error.retryAfter * 1000, LONGEST_RETRY_AFTER);
    this.#failures += 1;
    this.#until = now + Math.max(Math.min(rest, LONGEST_REST), asked);
    this.#error = error;
  }

  reset() {
    this.#failures = 0;
    this.#error = undefined;
  }
}

/**
 * Between a half and the whole of what doubles with each failure.
 *
 * @param {number} first
 * @param {number} failures
 * @param {number} random
 */
function pause(first, failures, random) {
  return first * 2 ** failures * (0.5 + random / 2);
}

/**
 * Waits for what others may wait for as well: aborted is the waiting.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | null | undefined} signal
 * @returns {Promise<T>}
 */
export function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
