import { isText, objectOf } from "./values.js";

/**
 * Why something was not done. Decide by `code`: one of the server, or
 *
 * - `network`: no answer came. `timeout`: none came in time.
 * - `bad_answer`: an answer came that is none of this service, as from a proxy in between.
 * - `origin_not_allowed`: the access token is not sent to this origin.
 */
export class AuthError extends Error {
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
export function errorOf(response, text, now) {
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
export async function refusalOf(response, now) {
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
export function badAnswer(status, retryAfter) {
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
