import { isText, objectOf } from "./values.js";

/** @import { Ending, Grant, Platform, StorageKind } from "./types.js" */

/** The text in the storage, or nothing where it fails. */
export class Store {
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
export function isEnding(value) {
  return isText(value?.ended) && isText(value.code) && (value.reason === null || isText(value.reason));
}
