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
import "./types.js";
import { Auth } from "./auth.js";
import { AuthError } from "./errors.js";
import { browser } from "./platform.js";

/** @import { Options } from "./types.js" */

export { AuthError };

/**
 * The client of one scope. A page makes one, and uses it everywhere.
 *
 * @param {Options} [options]
 */
export function createAuth(options = {}) {
  return new Auth(options, browser());
}
