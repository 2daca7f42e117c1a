import { AuthError, badAnswer, errorOf } from "./errors.js";
import { isText, objectOf } from "./values.js";

/** @import { Grant, Platform } from "./types.js" */
/** @import { Keeper } from "./keeper.js" */

/** A refresh is tried several times within the server's window of 30 s, in which a lost answer is given again. */
const REFRESH_TIMEOUT = 6_000;
const CALL_TIMEOUT = 15_000;

/** The routes of the scope, and the errors that they can answer with. */
export class Service {
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
