/** @import { Platform } from "./types.js" */

/** A call of the application, which may have to be sent twice. */
export class Call {
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
