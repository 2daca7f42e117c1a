import { isEnding } from "./store.js";
import { isText } from "./values.js";

/** @import { Ending, Platform } from "./types.js" */

/** How long the work of another tab is waited for, in milliseconds. */
const LOCK_TIMEOUT = 2_000;

/** The other tabs: a lock and a channel, which save work, and without which everything is right as well. */
export class Tabs {
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
