/** @import { Change, Ending, Grant, Platform, Session } from "./types.js" */
/** @import { Store } from "./store.js" */

/** A token with less than this left, in milliseconds, may expire on its way. */
const SPENT = 10_000;

/** Knows who is logged in: brings together what this tab remembers and what the storage says. */
export class Keeper {
  #store;
  #platform;
  /** @type {Grant | null} */
  #grant = null;
  /** @type {Map<string, Ending>} */
  #endings = new Map();
  /** @type {Set<(change: Change) => void>} */
  #listeners = new Set();
  #skew = 0;
  /** @type {(ending: Ending) => void} */
  onEnd = () => {};

  /**
   * @param {Store} store
   * @param {Platform} platform
   */
  constructor(store, platform) {
    this.#store = store;
    this.#platform = platform;
    this.sync();
  }

  /** @param {(change: Change) => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Takes what another tab has stored, and mends the storage where it lags behind. */
  sync() {
    const stored = this.#store.read();
    if (stored && "ended" in stored) this.#endings.set(stored.ended, stored);
    const chosen = this.#choose(stored);
    if (chosen && chosen !== stored) this.#store.write(chosen);
    this.#become(chosen, true);
    return this.#grant;
  }

  /**
   * Keeps what an answer has brought; if it continues a session, only while that is still the one. What was stored
   * meanwhile, by a login or a logout, is newer than the answer.
   *
   * @param {Grant} grant
   * @param {string | null} [continued]
   */
  adopt(grant, continued) {
    const current = this.sync();
    const wanted = continued === undefined || continued === (current?.session ?? null);
    if (!wanted || this.#endings.has(grant.session)) return current;
    this.#store.write(grant);
    this.#become(grant, false);
    return this.#grant;
  }

  /**
   * @param {Ending} ending
   * @param {boolean} [elsewhere]
   */
  end(ending, elsewhere = false) {
    const current = this.sync();
    if (this.#endings.has(ending.ended)) return;
    this.#endings.set(ending.ended, ending);
    if (current?.session === ending.ended) {
      this.#store.write(ending);
      this.#become(ending, elsewhere);
    }
    if (!elsewhere) this.onEnd(ending);
  }

  tellStorage() {
    this.#tell({ type: "storage", code: null, reason: null, elsewhere: false });
  }

  /**
   * The server's time, by the last answer that told it. `Date` is hidden from pages of other origins unless the server
   * exposes it; then the device is believed.
   *
   * @param {Response} response
   */
  readClock(response) {
    const date = Date.parse(response.headers.get("date") ?? "");
    if (Number.isFinite(date)) this.#skew = date - this.#platform.now();
    return { now: this.now, skew: this.#skew };
  }

  /** The server's time, as far as it is known. */
  get now() {
    return this.#platform.now() + this.#skew;
  }

  /** Whether less than a moment of its life is left. @param {Grant} grant */
  isSpent(grant) {
    return this.#left(grant) < Math.min(SPENT, (grant.expires - grant.issued) / 2);
  }

  /** Whether more than half of its life is left. @param {Grant} grant */
  isYoung(grant) {
    return this.#left(grant) > (grant.expires - grant.issued) / 2;
  }

  /** @param {Grant} grant */
  #left(grant) {
    return grant.expires - this.now;
  }

  /** @param {Grant | Ending | null} stored */
  #choose(stored) {
    const own = this.#grant && !this.#endings.has(this.#grant.session) ? this.#grant : null;
    // Wiped, or of an ended session that is not ours.
    if (!stored || "ended" in stored) return own ?? stored;
    // A late answer of another tab, to a refresh from before the end.
    const ending = this.#endings.get(stored.session);
    if (ending) return own ?? ending;
    return own?.session === stored.session && own.issued > stored.issued ? own : stored;
  }

  /**
   * @param {Grant | Ending | null} entry
   * @param {boolean} elsewhere
   */
  #become(entry, elsewhere) {
    const before = this.#grant;
    const after = entry && "token" in entry ? entry : null;
    if (before?.token === after?.token) return;
    this.#grant = after;
    if (after) this.#skew = after.skew;
    const ending = before && !after ? this.#endings.get(before.session) : undefined;
    const type = !after ? "ended" : after.session === before?.session ? "refreshed" : "started";
    this.#tell({ type, code: ending?.code ?? null, reason: ending?.reason ?? null, elsewhere });
  }

  /** @param {Omit<Change, "session">} change */
  #tell(change) {
    for (const listener of [...this.#listeners]) {
      try {
        listener({ ...change, session: sessionOf(this.#grant) });
      } catch (error) {
        this.#platform.warn("A listener of onChange has thrown.", error);
      }
    }
  }
}

/**
 * @param {Grant | null} grant
 * @returns {Session | null}
 */
export function sessionOf(grant) {
  return grant && { id: grant.session, user: grant.user };
}
