import { AuthError } from "./errors.js";
import { Breaker, patiently } from "./patience.js";

/** @import { Grant, Platform } from "./types.js" */
/** @import { Keeper } from "./keeper.js" */
/** @import { Service } from "./service.js" */
/** @import { Tabs } from "./tabs.js" */

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
export class Refresher {
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
