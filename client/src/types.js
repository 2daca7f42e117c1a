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

export {};
