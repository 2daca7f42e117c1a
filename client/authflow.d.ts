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
export type Options = {
    /**
     * Where the scope is mounted. Defaults to `/auth`.
     */
    base?: string | URL;
    /**
     * Where the access token is kept. Defaults to `"local"`. The others need a server with
     * `AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN=false`.
     */
    storage?: StorageKind;
    /**
     * Origins besides that of `base` that may be sent the access token.
     */
    origins?: (string | URL)[];
    /**
     * What sends the requests. Defaults to the `fetch` of the page.
     */
    fetch?: typeof globalThis.fetch;
};
export type StorageKind = "local" | "session" | "memory";
export type User = {
    id: string;
    email: string | null;
    created_at: string;
};
export type Session = {
    id: string;
    user: User;
};
export type Change = {
    /**
     * `storage`: the storage failed, and memory is used instead.
     */
    type: "started" | "refreshed" | "ended" | "storage";
    /**
     * Who is logged in now.
     */
    session: Session | null;
    /**
     * Why it ended: `logged_out`, or the code of the server's refusal.
     */
    code: string | null;
    /**
     * What the server says besides, in the member `reason` of its refusal.
     */
    reason: string | null;
    /**
     * Whether another tab was the cause.
     */
    elsewhere: boolean;
};
export type Credentials = {
    email: string;
    password: string;
    /**
     * What the user calls this device.
     */
    device_name?: string;
    /**
     * `false`: the cookie goes when the browser closes.
     */
    remember?: boolean;
};
export type Passwords = {
    current_password: string;
    new_password: string;
};
export type ListedSession = {
    id: string;
    current: boolean;
    transport: "cookie" | "body";
    device_name: string | null;
    user_agent: string | null;
    ip: string | null;
    created_at: string;
    last_seen_at: string;
    expires_at: string;
};
export type Sessions = {
    /**
     * The live sessions of the user, newest first.
     */
    list: () => Promise<ListedSession[]>;
    /**
     * Ends one of them, which may be this one.
     */
    revoke: (id: string) => Promise<void>;
    /**
     * Ends all but this one.
     */
    revokeOthers: () => Promise<void>;
    /**
     * Ends all of them.
     */
    revokeAll: () => Promise<void>;
};
export type Grant = {
    token: string;
    session: string;
    user: User;
    issued: number;
    expires: number;
    /**
     * How far the server's clock is ahead of that of the device.
     */
    skew: number;
};
export type Ending = {
    ended: string;
    code: string;
    reason: string | null;
};
export type Platform = {
    fetch: typeof globalThis.fetch;
    /**
     * The clock of the device, which may be wrong and may jump.
     */
    now: () => number;
    /**
     * A clock that only goes forward.
     */
    ticks: () => number;
    random: () => number;
    /**
     * Ends early where it is aborted.
     */
    sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
    /**
     * Throws where there is none.
     */
    storage: (kind: "local" | "session") => Storage;
    locks: Pick<LockManager, "request"> | undefined;
    channel: (name: string) => BroadcastChannel | undefined;
    events: Pick<EventTarget, "addEventListener" | "removeEventListener"> | undefined;
    /**
     * What relative addresses are relative to.
     */
    here: string | undefined;
    warn: (message: string, cause?: unknown) => void;
};
/**
 * Why something was not done. Decide by `code`: one of the server, or
 *
 * - `network`: no answer came. `timeout`: none came in time.
 * - `bad_answer`: an answer came that is none of this service, as from a proxy in between.
 * - `origin_not_allowed`: the access token is not sent to this origin.
 */
declare class AuthError extends Error {
    /** @readonly */
    code: string;
    /**
     * The status of the answer, or 0.
     * @readonly
     */
    status: number;
    /**
     * After how many seconds it is worth another try, as the server or this client says.
     * @readonly
     */
    retryAfter: number;
    /**
     * What the server says besides, in the member `reason`.
     * @readonly
     */
    reason: string | null;
    /**
     * @param {string} code
     * @param {string} message
     * @param {{ status?: number, retryAfter?: number, reason?: string | null, cause?: unknown }} [more]
     */
    constructor(code: string, message: string, { status, retryAfter, reason, cause }?: {
        status?: number;
        retryAfter?: number;
        reason?: string | null;
        cause?: unknown;
    });
    /** Whether the same request may succeed later. Such an error is never the end of a session. */
    get transient(): boolean;
}
/** The client. Its methods may be taken off it: `const { fetch } = createAuth()`. */
declare class Auth {
    #private;
    /**
     * @param {Options} options
     * @param {Platform} surroundings
     */
    constructor(options: Options, surroundings: Platform);
    /** Who is logged in, as far as this page knows without asking the server. @returns {Session | null} */
    get session(): Session | null;
    /** Where the access token is kept: `memory`, if the storage that was asked for fails. @returns {StorageKind} */
    get storage(): StorageKind;
    /**
     * Who is logged in. With the storages `session` and `memory`, asks the server once whether the cookie opens a session.
     * @returns {Promise<Session | null>}
     */
    restore: () => Promise<Session | null>;
    /** @type {(credentials: Credentials) => Promise<Session>} */
    register: (credentials: Credentials) => Promise<Session>;
    /** @type {(credentials: Credentials) => Promise<Session>} */
    login: (credentials: Credentials) => Promise<Session>;
    /**
     * Ends the session: here and in all tabs at once, and then at the server. Where the server cannot be reached it throws;
     * call it again then, since the refresh token is still good.
     * @returns {Promise<void>}
     */
    logout: () => Promise<void>;
    /**
     * Ends every session of the user and starts a new one here.
     * @type {(passwords: Passwords) => Promise<Session>}
     */
    changePassword: (passwords: Passwords) => Promise<Session>;
    /** @type {Sessions} */
    sessions: Sessions;
    /**
     * `fetch` with the access token. An answer that says that the token has expired leads to one refresh, and the request is
     * sent once more. Throws an `AuthError` where the refresh fails for a reason that is not the end of the session, and
     * where the access token may not be sent to the address. Without a session it sends the request as it is.
     *
     * @param {RequestInfo | URL} input
     * @param {RequestInit} [init]
     * @returns {Promise<Response>}
     */
    fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
    /**
     * The access token for other HTTP libraries, refreshed if it has expired by the server's time; `null` without a session.
     * A library that was answered with `token_expired` all the same passes the token on as `refused`, and repeats its
     * request with the one that it gets.
     *
     * @param {{ refused?: string, signal?: AbortSignal }} [options]
     * @returns {Promise<string | null>}
     */
    getAccessToken: ({ refused, signal }?: {
        refused?: string;
        signal?: AbortSignal;
    }) => Promise<string | null>;
    /**
     * Calls `listener` when somebody has logged in, a token was refreshed, the session has ended or the storage has failed,
     * here or in another tab. Returns what stops it.
     *
     * @param {(change: Change) => void} listener
     * @returns {() => void}
     */
    onChange: (listener: (change: Change) => void) => () => void;
    /** Listens to nothing any more: for tests, and for frameworks that build a page up twice. */
    close: () => void;
}
export { AuthError };
/**
 * The client of one scope. A page makes one, and uses it everywhere.
 *
 * @param {Options} [options]
 */
export declare function createAuth(options?: Options): Auth;
