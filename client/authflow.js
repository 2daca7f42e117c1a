// Joined from client/src by scripts/client.
/**
 * The browser's half of actix-authflow: keeps the access token, calls with it, refreshes it where the server says that
 * it has expired, and tells every tab when a session ends.
 *
 * The refresh token is in an HttpOnly cookie, which no script sees, this one included.
 *
 * Nothing here needs a lock to be right. The server gives every tab that presents the same refresh token the same
 * successor, so tabs may refresh at the same time; locks, channels and the common storage only make that rare.
 *
 * @module
 */

/**
 * @typedef {object} Options
 * @property {string | URL} [base] Where the scope is mounted. Defaults to `/auth`.
 * @property {StorageKind} [storage] Where the access token is kept. Defaults to `"local"`. The others need a server with
 *   `AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN=false`.
 * @property {(string | URL)[]} [origins] Origins besides that of `base` that may be sent the access token.
 * @property {typeof globalThis.fetch} [fetch] What sends the requests. Defaults to the `fetch` of the page.
 */

/** @typedef {"local" | "session" | "memory"} StorageKind */

/**
 * @typedef {object} User
 * @property {string} id
 * @property {string | null} email
 * @property {string} created_at
 */

/**
 * Who is logged in.
 * @typedef {object} Session
 * @property {string} id
 * @property {User} user
 */

/**
 * What `onChange` tells.
 * @typedef {object} Change
 * @property {"started" | "refreshed" | "ended" | "storage"} type `storage`: the storage failed, and memory is used instead.
 * @property {Session | null} session Who is logged in now.
 * @property {string | null} code Why it ended: `logged_out`, or the code of the server's refusal.
 * @property {string | null} reason What the server says besides, in the member `reason` of its refusal.
 * @property {boolean} elsewhere Whether another tab was the cause.
 */

/**
 * @typedef {object} Credentials
 * @property {string} email
 * @property {string} password
 * @property {string} [device_name] What the user calls this device.
 * @property {boolean} [remember] `false`: the cookie goes when the browser closes.
 */

/**
 * @typedef {object} Passwords
 * @property {string} current_password
 * @property {string} new_password
 */

/**
 * One of the sessions of the user.
 * @typedef {object} ListedSession
 * @property {string} id
 * @property {boolean} current
 * @property {"cookie" | "body"} transport
 * @property {string | null} device_name
 * @property {string | null} user_agent
 * @property {string | null} ip
 * @property {string} created_at
 * @property {string} last_seen_at
 * @property {string} expires_at
 */

/**
 * @typedef {object} Sessions
 * @property {() => Promise<ListedSession[]>} list The live sessions of the user, newest first.
 * @property {(id: string) => Promise<void>} revoke Ends one of them, which may be this one.
 * @property {() => Promise<void>} revokeOthers Ends all but this one.
 * @property {() => Promise<void>} revokeAll Ends all of them.
 */

/**
 * An access token and what came with it. Times are the server's, in milliseconds.
 * @internal
 * @typedef {object} Grant
 * @property {string} token
 * @property {string} session
 * @property {User} user
 * @property {number} issued
 * @property {number} expires
 * @property {number} skew How far the server's clock is ahead of that of the device.
 */

/**
 * That a session is over. It stays in the storage, so that a tab that slept learns why.
 * @internal
 * @typedef {object} Ending
 * @property {string} ended
 * @property {string} code
 * @property {string | null} reason
 */

/**
 * What the client needs of its surroundings. Tests hand in their own.
 * @internal
 * @typedef {object} Platform
 * @property {typeof globalThis.fetch} fetch
 * @property {() => number} now The clock of the device, which may be wrong and may jump.
 * @property {() => number} ticks A clock that only goes forward.
 * @property {() => number} random
 * @property {(milliseconds: number, signal?: AbortSignal) => Promise<void>} sleep Ends early where it is aborted.
 * @property {(kind: "local" | "session") => Storage} storage Throws where there is none.
 * @property {Pick<LockManager, "request"> | undefined} locks
 * @property {(name: string) => BroadcastChannel | undefined} channel
 * @property {Pick<EventTarget, "addEventListener" | "removeEventListener"> | undefined} events
 * @property {string | undefined} here What relative addresses are relative to.
 * @property {(message: string, cause?: unknown) => void} warn
 */

/** A call of the application, which may have to be sent twice. */
class Call {
  #platform;
  #request;
  #init;
  #headers;

  /**
   * @param {RequestInfo | URL} input
   * @param {RequestInit | undefined} init
   * @param {Platform} platform
   */
  constructor(input, init, platform) {
    this.#platform = platform;
    this.#request = input instanceof Request ? input : undefined;
    this.#init = { ...init, body: init?.body && kept(init.body) };
    this.#headers = new Headers(init?.headers ?? this.#request?.headers);
    /** What was looked at is what is sent: resolved once, here. */
    this.url = new URL(this.#request ? this.#request.url : String(input), platform.here);
    this.signal = init?.signal ?? this.#request?.signal;
    this.repeatable = init?.body == null || isRepeatable(init.body);
    /** Whether the caller has credentials of its own, which are none of our business. */
    this.hasCredentials = this.#headers.has("Authorization");
  }

  /** @param {string} [token] */
  send(token) {
    const headers = new Headers(this.#headers);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    // The fetch of a browser refuses to be called as a method of something else.
    const { fetch } = this.#platform;
    return fetch(this.#request?.clone() ?? this.url.href, { ...this.#init, headers });
  }
}

/**
 * A body that does not change while the first answer is on its way.
 * @param {BodyInit} body
 * @returns {BodyInit}
 */
function kept(body) {
  if (body instanceof ArrayBuffer) return body.slice(0);
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  if (body instanceof URLSearchParams) return new URLSearchParams(body);
  if (!(body instanceof FormData)) return body;
  const copy = new FormData();
  body.forEach((value, name) => copy.append(name, value));
  return copy;
}

/** @param {BodyInit} body */
function isRepeatable(body) {
  if (typeof body === "string" || ArrayBuffer.isView(body)) return true;
  return [Blob, FormData, URLSearchParams, ArrayBuffer].some((kind) => body instanceof kind);
}

/**
 * @param {string} text
 * @returns {any} An object, or undefined.
 */
function objectOf(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isText(value) {
  return typeof value === "string" && value !== "";
}

/**
 * Why something was not done. Decide by `code`: one of the server, or
 *
 * - `network`: no answer came. `timeout`: none came in time.
 * - `bad_answer`: an answer came that is none of this service, as from a proxy in between.
 * - `origin_not_allowed`: the access token is not sent to this origin.
 */
class AuthError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ status?: number, retryAfter?: number, reason?: string | null, cause?: unknown }} [more]
   */
  constructor(code, message, { status = 0, retryAfter = 0, reason = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "AuthError";
    /** @readonly */
    this.code = code;
    /**
     * The status of the answer, or 0.
     * @readonly
     */
    this.status = status;
    /**
     * After how many seconds it is worth another try, as the server or this client says.
     * @readonly
     */
    this.retryAfter = retryAfter;
    /**
     * What the server says besides, in the member `reason`.
     * @readonly
     */
    this.reason = reason;
  }

  /** Whether the same request may succeed later. Such an error is never the end of a session. */
  get transient() {
    const { status } = this;
    return status === 0
      ? this.code !== "origin_not_allowed"
      : status < 400 || [408, 429].includes(status) || status >= 500;
  }
}

/**
 * @param {Response} response
 * @param {string} text
 * @param {number} now The server's time.
 */
function errorOf(response, text, now) {
  const problem = objectOf(text);
  const { status } = response;
  const retryAfter = secondsOf(response.headers.get("retry-after"), now);
  if (!isText(problem?.code)) return badAnswer(status, retryAfter);
  const reason = isText(problem.reason) ? problem.reason : null;
  return new AuthError(problem.code, isText(problem.detail) ? problem.detail : problem.code, {
    status,
    retryAfter,
    reason,
  });
}

/**
 * What a 401 says, without using the answer up.
 *
 * @param {Response} response
 * @param {number} now The server's time.
 */
async function refusalOf(response, now) {
  if (response.status !== 401) return null;
  const text = await response
    .clone()
    .text()
    .catch(() => "");
  return errorOf(response, text, now);
}

/**
 * @param {number} status
 * @param {number} [retryAfter]
 */
function badAnswer(status, retryAfter) {
  return new AuthError("bad_answer", `An answer with status ${status} that is none of this service.`, {
    status,
    retryAfter,
  });
}

/**
 * `Retry-After`, which is a number of seconds or a date (RFC 9110 §10.2.3).
 *
 * @param {string | null} header
 * @param {number} now
 */
function secondsOf(header, now) {
  if (!header) return 0;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
  return seconds > 0 ? seconds : 0;
}

/** A token with less than this left, in milliseconds, may expire on its way. */
const SPENT = 10_000;

/** Knows who is logged in: brings together what this tab remembers and what the storage says. */
class Keeper {
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
function sessionOf(grant) {
  return grant && { id: grant.session, user: grant.user };
}

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
async function patiently(platform, attempt) {
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
class Breaker {
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
function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Refusals after which nothing brings a session back. */
const FINAL = ["session_revoked", "refresh_token_expired", "refresh_token_reused", "refresh_token_invalid"];
/** Refusals that a login in another tab can cause for a moment: they count from the second time on. */
const DOUBTFUL = ["token_mismatch", "access_token_required", "token_invalid", "unauthorized"];
/** How long such a login may take to store what it got, in milliseconds. */
const SECOND_LOOK = 300;
/** How many young tokens may be refused in a row before that is taken for something that no refresh mends. */
const TOLERATED_STORM = 5;
/** How long the reason of an end is waited for, in milliseconds. */
const REASON_TIMEOUT = 2_000;
const NOT_RESUMABLE =
  "The server resumes no session without an access token: set AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN=false, or use the local storage.";

/** Gets the next access token: one request at a time in this tab, and as few as possible in all. */
class Refresher {
  #keeper;
  #tabs;
  #service;
  #platform;
  #failures;
  #storms;
  #mayResume = true;
  /** @type {Promise<Grant | null> | undefined} */
  #flight;

  /**
   * @param {Keeper} keeper
   * @param {Tabs} tabs
   * @param {Service} service
   * @param {Platform} platform
   */
  constructor(keeper, tabs, service, platform) {
    this.#keeper = keeper;
    this.#tabs = tabs;
    this.#service = service;
    this.#platform = platform;
    this.#failures = new Breaker(platform);
    this.#storms = new Breaker(platform, TOLERATED_STORM);
  }

  /**
   * What comes after `used`: what is there already, or the result of a refresh; `null` if the session is over. `refusal`
   * says that the server has refused `used`, which it should not do with a young one.
   *
   * @param {Grant} used
   * @param {AuthError} [refusal]
   * @returns {Promise<Grant | null>}
   */
  async renew(used, refusal) {
    const current = this.#keeper.sync();
    if (current?.token !== used.token) return current;
    if (!this.#flight && refusal) {
      if (!this.#keeper.isYoung(used)) this.#storms.reset();
      this.#storms.check();
      this.#storms.failed(refusal);
    }
    return this.#fly(used);
  }

  /**
   * What the cookie alone opens, if the server allows that; asked once, and again when another tab has logged in.
   *
   * @param {Grant | null} [instead] What this tab has, of a session that the login has replaced.
   */
  async resume(instead) {
    if (instead === undefined && !this.#mayResume) return null;
    return this.#fly(null, instead ?? null);
  }

  doNotResume() {
    this.#mayResume = false;
  }

  /**
   * After a refusal that says that the session is over: what has replaced it, or `null`.
   *
   * @param {Grant} used
   * @param {AuthError} refusal
   */
  async settle(used, refusal) {
    // A login or a new password in another tab may just have ended it, and not have stored yet what it got.
    if (this.#isCurrent(used)) refusal = await this.#tabs.exclusive(() => this.#explained(used, refusal));
    this.#end(used, refusal);
    return this.#keeper.sync();
  }

  /** The network is back: what was tried without it says nothing any more. */
  rested() {
    this.#failures.reset();
  }

  /**
   * @param {Grant | null} used
   * @param {Grant | null} [replaced]
   */
  #fly(used, replaced = used) {
    this.#flight ??= this.#refresh(used, replaced).finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  /**
   * @param {Grant | null} used
   * @param {Grant | null} replaced
   */
  async #refresh(used, replaced) {
    this.#failures.check();
    const attempt = () => patiently(this.#platform, () => this.#tabs.exclusive(() => this.#attempt(used, replaced)));
    try {
      let result = await attempt();
      if (used && result instanceof AuthError && DOUBTFUL.includes(result.code)) {
        await this.#platform.sleep(SECOND_LOOK);
        result = await attempt();
      }
      this.#failures.reset();
      this.#mayResume = false;
      if (!(result instanceof AuthError)) return result;
      if (used) this.#end(used, result);
      else if (result.code === "access_token_required") this.#platform.warn(NOT_RESUMABLE);
      return this.#keeper.sync();
    } catch (error) {
      if (error instanceof AuthError) this.#failures.failed(error);
      throw error;
    }
  }

  /**
   * @param {Grant | null} used
   * @param {Grant | null} replaced
   * @returns {Promise<Grant | AuthError | null>}
   */
  async #attempt(used, replaced) {
    const current = this.#keeper.sync();
    // Another tab was quicker.
    if (current?.token !== replaced?.token) return current;
    try {
      const grant = await this.#service.refresh(used?.token);
      return this.#keeper.adopt(grant, replaced?.session ?? null);
    } catch (error) {
      const refused = error instanceof AuthError && error.status === 401;
      if (refused && [...FINAL, ...DOUBTFUL].includes(error.code)) return error;
      throw error;
    }
  }

  /**
   * The guard knows that a session is over and not why. The refusal of a refresh has the reason; if none comes soon, the
   * session is over without.
   *
   * @param {Grant} used
   * @param {AuthError} refusal
   */
  async #explained(used, refusal) {
    if (refusal.reason !== null || !this.#isCurrent(used)) return refusal;
    try {
      await this.#service.refresh(used.token, REASON_TIMEOUT);
    } catch (error) {
      if (error instanceof AuthError && error.code === refusal.code) return error;
    }
    return refusal;
  }

  /** @param {Grant} used */
  #isCurrent(used) {
    return this.#keeper.sync()?.session === used.session;
  }

  /**
   * @param {Grant} used
   * @param {AuthError} refusal
   */
  #end(used, refusal) {
    this.#mayResume = false;
    this.#keeper.end({ ended: used.session, code: refusal.code, reason: refusal.reason });
  }
}

/** A refresh is tried several times within the server's window of 30 s, in which a lost answer is given again. */
const REFRESH_TIMEOUT = 6_000;
const CALL_TIMEOUT = 15_000;

/** The routes of the scope, and the errors that they can answer with. */
class Service {
  #base;
  #platform;
  #keeper;

  /**
   * @param {URL} base
   * @param {Platform} platform
   * @param {Keeper} keeper
   */
  constructor(base, platform, keeper) {
    this.#base = base.href.replace(/\/*$/, "/");
    this.#platform = platform;
    this.#keeper = keeper;
  }

  /**
   * @param {string | undefined} token
   * @param {number} [timeout] In milliseconds.
   */
  refresh(token, timeout = REFRESH_TIMEOUT) {
    return this.tokens("refresh", { token, timeout });
  }

  /** @param {string | undefined} token */
  logout(token) {
    return this.call("POST", "logout", { token, timeout: REFRESH_TIMEOUT });
  }

  /**
   * A route that answers with tokens.
   *
   * @param {string} path
   * @param {{ token?: string, body?: object, timeout?: number }} options
   * @returns {Promise<Grant>}
   */
  tokens(path, options) {
    return this.#ask("POST", path, options, (answer, status, clock) => {
      const { access_token: token, expires_in: life, session_id: session, user } = answer ?? {};
      const texts = [token, session, user?.id];
      if (!texts.every(isText) || !Number.isFinite(life) || life <= 0) throw badAnswer(status);
      return { token, session, user, issued: clock.now, expires: clock.now + life * 1000, skew: clock.skew };
    });
  }

  /**
   * Any other route. A body of the answer is an object, if there is one.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ token?: string, timeout?: number }} options
   * @returns {Promise<any>}
   */
  call(method, path, options) {
    return this.#ask(method, path, options, (answer, status) => {
      if (status !== 204 && !answer) throw badAnswer(status);
      return answer;
    });
  }

  /**
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {{ token?: string, body?: object, timeout?: number }} options
   * @param {(answer: any, status: number, clock: { now: number, skew: number }) => T} read
   */
  async #ask(method, path, { token, body, timeout = CALL_TIMEOUT }, read) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body) headers["Content-Type"] = "application/json";
    const { response, text } = await this.#send(path, timeout, {
      method,
      headers,
      body: body && JSON.stringify(body),
      credentials: "include",
      cache: "no-store",
      redirect: "manual",
      // The cookie in the answer is stored even if the page is left meanwhile.
      keepalive: method === "POST",
    });
    const clock = this.#keeper.readClock(response);
    if (!response.ok) throw errorOf(response, text, clock.now);
    return read(objectOf(text), response.status, clock);
  }

  /**
   * @param {string} path
   * @param {number} timeout
   * @param {RequestInit} init
   */
  async #send(path, timeout, init) {
    const { fetch, sleep } = this.#platform;
    const [request, timer] = [new AbortController(), new AbortController()];
    const answer = async () => {
      const response = await fetch(this.#base + path, { ...init, signal: request.signal });
      return { response, text: await response.text() };
    };
    const late = async () => {
      await sleep(timeout, timer.signal);
      throw new AuthError("timeout", "The service did not answer in time.");
    };
    try {
      return await Promise.race([answer(), late()]);
    } catch (cause) {
      if (cause instanceof AuthError) throw cause;
      throw new AuthError("network", "The service could not be reached.", { cause });
    } finally {
      timer.abort();
      request.abort();
    }
  }
}

/** The text in the storage, or nothing where it fails. */
class Store {
  #key;
  #platform;
  #failed;
  /** @type {Storage | undefined} */
  #storage;
  /** @type {string | null} */
  #text = null;
  /** @type {Grant | Ending | null} */
  #entry = null;

  /**
   * @param {StorageKind} kind
   * @param {string} key
   * @param {Platform} platform
   * @param {() => void} failed
   */
  constructor(kind, key, platform, failed) {
    if (!["local", "session", "memory"].includes(kind)) throw new TypeError(`There is no storage "${kind}".`);
    /** @type {StorageKind} */
    this.kind = kind;
    this.#key = key;
    this.#platform = platform;
    this.#failed = failed;
    if (kind === "memory") return;
    try {
      this.#storage = platform.storage(kind);
      this.#storage.getItem(key);
    } catch (error) {
      this.#fallBack(error);
    }
  }

  /** What this tab or another has stored. The same object until it changes. */
  read() {
    const text = this.#use((storage) => storage.getItem(this.#key)) ?? null;
    if (text !== this.#text) {
      this.#text = text;
      this.#entry = entryOf(text);
    }
    return this.#entry;
  }

  /** @param {Grant | Ending} entry */
  write(entry) {
    const text = JSON.stringify(entry);
    this.#use((storage) => {
      storage.setItem(this.#key, text);
      this.#text = text;
      this.#entry = entry;
    });
  }

  /**
   * @template T
   * @param {(storage: Storage) => T} action
   */
  #use(action) {
    try {
      return this.#storage && action(this.#storage);
    } catch (error) {
      return this.#fallBack(error);
    }
  }

  /**
   * @param {unknown} error
   * @returns {undefined}
   */
  #fallBack(error) {
    const [storage, kind] = [this.#storage, this.kind];
    this.#storage = undefined;
    this.#text = this.#entry = null;
    this.kind = "memory";
    try {
      // What is there would never be renewed, nor removed at the end of the session.
      storage?.removeItem(this.#key);
    } catch {
      // It stays, and expires.
    }
    this.#platform.warn(`The ${kind} storage fails; the access token is kept in memory and lost at a reload.`, error);
    this.#failed();
  }
}

/**
 * What is in the storage, if it is of this module.
 * @param {string | null} text
 * @returns {Grant | Ending | null}
 */
function entryOf(text) {
  const entry = objectOf(text ?? "");
  if (isEnding(entry)) return entry;
  const times = [entry?.issued, entry?.expires, entry?.skew];
  const isGrant =
    isText(entry?.token) && isText(entry.session) && isText(entry.user?.id) && times.every(Number.isFinite);
  return isGrant ? entry : null;
}

/**
 * @param {any} value
 * @returns {value is Ending}
 */
function isEnding(value) {
  return isText(value?.ended) && isText(value.code) && (value.reason === null || isText(value.reason));
}

/** How long the work of another tab is waited for, in milliseconds. */
const LOCK_TIMEOUT = 2_000;

/** The other tabs: a lock and a channel, which save work, and without which everything is right as well. */
class Tabs {
  #name;
  #platform;
  /** @type {BroadcastChannel | undefined} */
  #channel;

  /**
   * @param {string} name
   * @param {Platform} platform
   * @param {(message: Ending | { started: string }) => void} hear
   */
  constructor(name, platform, hear) {
    this.#name = name;
    this.#platform = platform;
    try {
      this.#channel = platform.channel(name);
    } catch {
      return;
    }
    this.#channel?.addEventListener("message", ({ data }) => {
      if (isEnding(data) || isText(data?.started)) hear(data);
    });
  }

  /**
   * Runs `work` while no other tab runs such work, or after waiting for that in vain.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  exclusive(work) {
    const { locks, sleep } = this.#platform;
    if (!locks) return work();
    return new Promise((resolve, reject) => {
      const waiting = new AbortController();
      let begun = false;
      const begin = async () => {
        if (begun) return;
        begun = true;
        waiting.abort();
        await work().then(resolve, reject);
      };
      // Aborted is only the waiting; who has the lock keeps it until its work is done.
      const queue = new AbortController();
      const instead = () => (queue.abort(), begin());
      sleep(LOCK_TIMEOUT, waiting.signal).then(instead);
      try {
        locks.request(this.#name, { signal: queue.signal }, begin).catch(instead);
      } catch {
        void instead();
      }
    });
  }

  /** @param {Ending | { started: string }} message */
  tell(message) {
    try {
      this.#channel?.postMessage(message);
    } catch {
      // They learn it from the storage, or from the server.
    }
  }

  close() {
    this.#channel?.close();
    this.#channel = undefined;
  }
}

/** The client. Its methods may be taken off it: `const { fetch } = createAuth()`. */
class Auth {
  #platform;
  #store;
  #keeper;
  #tabs;
  #service;
  #refresher;
  #origins;
  /** @type {AbortController} */
  #closed = new AbortController();

  /**
   * @param {Options} options
   * @param {Platform} surroundings
   */
  constructor(options, surroundings) {
    const { fetch = surroundings.fetch } = options;
    const base = addressOf(options.base ?? "/auth", surroundings.here);
    const platform = { ...surroundings, fetch, here: surroundings.here ?? base.href };
    this.#platform = platform;
    this.#origins = new Set([base, ...(options.origins ?? [])].map(originOf));
    const name = `authflow:${base.href.replace(/\/+$/, "")}`;
    this.#store = new Store(options.storage ?? "local", name, platform, () => this.#keeper?.tellStorage());
    this.#keeper = new Keeper(this.#store, platform);
    this.#tabs = new Tabs(name, platform, (message) => this.#hear(message));
    this.#service = new Service(base, platform, this.#keeper);
    this.#refresher = new Refresher(this.#keeper, this.#tabs, this.#service, platform);
    this.#keeper.onEnd = (ending) => this.#tabs.tell(ending);
    this.#listen("storage", () => this.#keeper.sync());
    // A page that comes back from where the browser froze it has missed what was said meanwhile.
    this.#listen("pageshow", () => this.#keeper.sync());
    this.#listen("online", () => this.#refresher.rested());
  }

  /** Who is logged in, as far as this page knows without asking the server. @returns {Session | null} */
  get session() {
    return sessionOf(this.#keeper.sync());
  }

  /** Where the access token is kept: `memory`, if the storage that was asked for fails. @returns {StorageKind} */
  get storage() {
    return this.#store.kind;
  }

  /**
   * Who is logged in. With the storages `session` and `memory`, asks the server once whether the cookie opens a session.
   * @returns {Promise<Session | null>}
   */
  restore = async () => sessionOf(await this.#current());

  /** @type {(credentials: Credentials) => Promise<Session>} */
  register = (credentials) => this.#start("register", credentials);

  /** @type {(credentials: Credentials) => Promise<Session>} */
  login = (credentials) => this.#start("login", credentials);

  /**
   * Ends the session: here and in all tabs at once, and then at the server. Where the server cannot be reached it throws;
   * call it again then, since the refresh token is still good.
   * @returns {Promise<void>}
   */
  logout = async () => {
    const grant = this.#keeper.sync();
    this.#end(grant?.session);
    try {
      await patiently(this.#platform, () => this.#service.logout(grant?.token));
    } catch (error) {
      // There was nothing that could be ended.
      if (!(error instanceof AuthError && error.status === 401)) throw error;
    }
  };

  /**
   * Ends every session of the user and starts a new one here.
   * @type {(passwords: Passwords) => Promise<Session>}
   */
  changePassword = (passwords) => this.#authorized((token) => this.#start("password", passwords, token));

  /** @type {Sessions} */
  sessions = {
    list: async () => {
      const answer = await this.#authorized((token) => this.#service.call("GET", "sessions", { token }));
      if (!Array.isArray(answer?.sessions)) throw badAnswer(200);
      return answer.sessions;
    },
    revoke: async (id) => {
      const path = `sessions/${encodeURIComponent(id)}`;
      await this.#authorized((token) => this.#service.call("DELETE", path, { token }));
      if (id === this.session?.id) this.#end(id);
    },
    revokeOthers: async () => {
      await this.#authorized((token) => this.#service.call("DELETE", "sessions?keep=current", { token }));
    },
    revokeAll: async () => {
      await this.#authorized((token) => this.#service.call("DELETE", "sessions", { token }));
      this.#end(this.session?.id);
    },
  };

  /**
   * `fetch` with the access token. An answer that says that the token has expired leads to one refresh, and the request is
   * sent once more. Throws an `AuthError` where the refresh fails for a reason that is not the end of the session, and
   * where the access token may not be sent to the address. Without a session it sends the request as it is.
   *
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  fetch = async (input, init) => {
    const call = new Call(input, init, this.#platform);
    if (call.hasCredentials) return call.send();
    if (!this.#origins.has(call.url.origin)) {
      throw new AuthError(
        "origin_not_allowed",
        `The access token is not sent to ${call.url.origin}; see the option "origins".`,
      );
    }
    let grant = await abortable(this.#current(), call.signal);
    if (grant && !call.repeatable && this.#keeper.isSpent(grant)) {
      // If there is nothing better it is sent with what there is, so that the server says why not.
      grant = ofSameUser(grant, await abortable(this.#refresher.renew(grant), call.signal)) ?? grant;
    }
    const response = await call.send(grant?.token);
    const next = grant && (await this.#afterAnswer(grant, response, call.signal));
    if (!next || !call.repeatable) return response;
    response.body?.cancel().catch(() => {});
    const second = await call.send(next.token);
    const refusal = await refusalOf(second, this.#keeper.now);
    if (refusal?.code === "session_revoked") await abortable(this.#refresher.settle(next, refusal), call.signal);
    return second;
  };

  /**
   * The access token for other HTTP libraries, refreshed if it has expired by the server's time; `null` without a session.
   * A library that was answered with `token_expired` all the same passes the token on as `refused`, and repeats its
   * request with the one that it gets.
   *
   * @param {{ refused?: string, signal?: AbortSignal }} [options]
   * @returns {Promise<string | null>}
   */
  getAccessToken = async ({ refused, signal } = {}) => {
    const grant = await abortable(this.#current(), signal);
    if (!grant) return null;
    const refusal =
      refused === grant.token
        ? new AuthError("token_expired", "The access token was refused.", { status: 401 })
        : undefined;
    if (!refusal && !this.#keeper.isSpent(grant)) return grant.token;
    return ofSameUser(grant, await abortable(this.#refresher.renew(grant, refusal), signal))?.token ?? null;
  };

  /**
   * Calls `listener` when somebody has logged in, a token was refreshed, the session has ended or the storage has failed,
   * here or in another tab. Returns what stops it.
   *
   * @param {(change: Change) => void} listener
   * @returns {() => void}
   */
  onChange = (listener) => this.#keeper.subscribe(listener);

  /** Listens to nothing any more: for tests, and for frameworks that build a page up twice. */
  close = () => {
    this.#closed.abort();
    this.#tabs.close();
  };

  /** @returns {Promise<Grant | null>} */
  async #current() {
    const grant = this.#keeper.sync();
    return grant || this.#store.kind === "local" ? grant : this.#refresher.resume();
  }

  /**
   * While this runs no other tab refreshes, or concludes from a refusal that its session is gone for good: by the time it
   * may, it finds the new one in the storage.
   *
   * @param {string} path
   * @param {object} body
   * @param {string} [token]
   */
  async #start(path, body, token) {
    const grant = await this.#tabs.exclusive(async () => {
      const grant = await this.#service.tokens(path, { body, token });
      this.#keeper.adopt(grant);
      return grant;
    });
    this.#refresher.doNotResume();
    this.#tabs.tell({ started: grant.session });
    return { id: grant.session, user: grant.user };
  }

  /** @param {string} [session] */
  #end(session) {
    this.#refresher.doNotResume();
    if (session) this.#keeper.end({ ended: session, code: "logged_out", reason: null });
  }

  /**
   * @template T
   * @param {(token?: string) => Promise<T>} call
   */
  async #authorized(call) {
    const grant = await this.#current();
    try {
      return await call(grant?.token);
    } catch (refusal) {
      const next = grant && refusal instanceof AuthError && (await this.#afterRefusal(grant, refusal));
      if (!next) throw refusal;
      return call(next.token);
    }
  }

  /**
   * The grant to repeat a call with.
   *
   * @param {Grant} grant
   * @param {Response} response
   * @param {AbortSignal | null | undefined} signal
   */
  async #afterAnswer(grant, response, signal) {
    const refusal = await refusalOf(response, this.#keeper.now);
    if (!refusal) return null;
    try {
      return await abortable(this.#afterRefusal(grant, refusal), signal);
    } catch (error) {
      // It was refreshed for just now, to no avail: the answer speaks for itself.
      if (error instanceof AuthError && error.status === 401 && error.code === refusal.code) return null;
      throw error;
    }
  }

  /**
   * @param {Grant} grant
   * @param {AuthError} refusal
   */
  async #afterRefusal(grant, refusal) {
    let next = null;
    if (refusal.status === 401 && (refusal.code === "token_expired" || refusal.code === "token_invalid")) {
      next = await this.#refresher.renew(grant, refusal);
    } else if (refusal.status === 401 && refusal.code === "session_revoked") {
      next = await this.#refresher.settle(grant, refusal);
    }
    return ofSameUser(grant, next);
  }

  /** @param {Ending | { started: string }} message */
  #hear(message) {
    if ("ended" in message) return this.#keeper.end(message, true);
    const grant = this.#keeper.sync();
    if (this.#store.kind === "local" || grant?.session === message.started) return;
    this.#refresher.resume(grant).catch(() => {});
  }

  /**
   * @param {string} type
   * @param {() => void} listener
   */
  #listen(type, listener) {
    this.#platform.events?.addEventListener(type, listener, { signal: this.#closed.signal });
  }
}

/**
 * What one user began is not finished in the name of another, who has logged in meanwhile.
 *
 * @param {Grant} grant
 * @param {Grant | null} next
 */
function ofSameUser(grant, next) {
  return next?.user.id === grant.user.id ? next : null;
}

/** @param {string | URL} address */
function originOf(address) {
  const { origin, protocol } = new URL(address);
  if (protocol !== "https:" && protocol !== "http:") throw new TypeError(`"${address}" is no origin of the web.`);
  return origin;
}

/**
 * @param {string | URL} base
 * @param {string | undefined} here
 */
function addressOf(base, here) {
  try {
    return new URL(base, here);
  } catch (cause) {
    throw new TypeError(`"${base}" is no address; outside of a browser it has to be absolute.`, { cause });
  }
}

/** @returns {Platform} */
function browser() {
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

export { AuthError };

/**
 * The client of one scope. A page makes one, and uses it everywhere.
 *
 * @param {Options} [options]
 */
export function createAuth(options = {}) {
  return new Auth(options, browser());
}
