import { Call } from "./call.js";
import { AuthError, badAnswer, refusalOf } from "./errors.js";
import { Keeper, sessionOf } from "./keeper.js";
import { abortable, patiently } from "./patience.js";
import { Refresher } from "./refresher.js";
import { Service } from "./service.js";
import { Store } from "./store.js";
import { Tabs } from "./tabs.js";

/** @import { Change, Credentials, Ending, Grant, Options, Passwords, Platform, Session, Sessions, StorageKind } from "./types.js" */

/** The client. Its methods may be taken off it: `const { fetch } = createAuth()`. */
export class Auth {
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
