// A browser with tabs: cookies, storages, channel and locks are common to its tabs as in a real one. Time stands still
// unless a test lets it pass; pauses take no time, and time-outs come when the test says so.
import { Auth } from "../../src/auth.js";

/** How long a test waits for what takes a moment, in milliseconds. */
const PATIENCE = 10_000;

export class Browser {
  now = Date.parse("2026-06-01T12:00:00Z");
  ticks = 0;
  random = 0;
  /** How long the client has paused, each time. */
  pauses = [];
  warnings = [];
  cookie;
  #service;
  #tabs = [];
  #deadlines = new Set();
  #local = new Map();
  #queue = Promise.resolve();

  constructor(service) {
    this.#service = service;
  }

  /** A new tab. `surroundings` replace what it would find there. */
  open(options = {}, surroundings = {}) {
    const events = new EventTarget();
    const tab = { events, session: new Map(), channels: new Set() };
    const platform = {
      fetch: (input, init) => this.#fetch(input, init),
      now: () => this.now,
      ticks: () => this.ticks,
      random: () => this.random,
      sleep: (milliseconds, signal) => this.#sleep(milliseconds, signal),
      storage: (kind) => this.#storage(tab, kind),
      locks: { request: (name, options, work) => this.#lock(options, work) },
      channel: () => this.#channel(tab),
      events,
      here: `${this.#service.origin}/page`,
      warn: (message) => void this.warnings.push(message),
      ...surroundings,
    };
    this.#tabs.push(tab);
    const auth = new Auth({ base: `${this.#service.origin}/auth`, ...options }, platform);
    const changes = [];
    auth.onChange(({ type, code, elsewhere }) =>
      changes.push([type, code, elsewhere && "elsewhere"].filter(Boolean).join(" ")),
    );
    return Object.assign(auth, { changes, platform, tab });
  }

  /** A tab in which somebody is logged in. */
  async loggedIn(options, surroundings) {
    const auth = this.open(options, surroundings);
    await auth.login({ email: "alice@example.com", password: "right" });
    return auth;
  }

  pass(milliseconds) {
    this.now += milliseconds;
    this.ticks += milliseconds;
  }

  /** Time passes, here and at the service, until all access tokens are past their end. */
  letExpire() {
    const seconds = this.#service.life + 1;
    this.#service.now += seconds * 1000;
    this.pass(seconds * 1000);
  }

  /** Waits for a time-out of this length to be set, and lets it come. */
  async timeOut(milliseconds) {
    const set = () => [...this.#deadlines].find((deadline) => deadline.milliseconds === milliseconds);
    await until(set);
    set().come();
  }

  get stored() {
    return JSON.parse([...this.#local.values()][0] ?? "null");
  }

  set stored(value) {
    for (const key of this.#local.keys())
      this.#local.set(key, typeof value === "string" ? value : JSON.stringify(value));
  }

  wipe() {
    this.#local.clear();
  }

  async #fetch(input, init = {}) {
    const request = new Request(input, init);
    if (this.cookie) request.headers.set("Cookie", this.cookie);
    const response = await fetch(request);
    for (const line of response.headers.getSetCookie()) {
      this.cookie = line.includes("Max-Age=0") ? undefined : line.split(";")[0];
    }
    return response;
  }

  #sleep(milliseconds, signal) {
    if (!signal) {
      this.pauses.push(milliseconds);
      this.pass(milliseconds);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const come = () => {
        this.#deadlines.delete(deadline);
        resolve();
      };
      const deadline = { milliseconds, come };
      this.#deadlines.add(deadline);
      signal.addEventListener("abort", come);
    });
  }

  #storage(tab, kind) {
    const items = kind === "local" ? this.#local : tab.session;
    const tell = () => {
      const others = kind === "local" ? this.#tabs.filter((other) => other !== tab) : [];
      for (const other of others) queueMicrotask(() => other.events.dispatchEvent(new Event("storage")));
    };
    return {
      getItem: (key) => items.get(key) ?? null,
      setItem: (key, text) => (items.set(key, text), tell()),
      removeItem: (key) => (items.delete(key), tell()),
    };
  }

  #channel(tab) {
    const channel = new EventTarget();
    const open = new Set();
    tab.channels.add(channel);
    channel.close = () => tab.channels.delete(channel);
    channel.postMessage = (data) => {
      const others = this.#tabs.flatMap((tab) => [...tab.channels]).filter((other) => other !== channel);
      for (const other of others)
        queueMicrotask(() => other.dispatchEvent(Object.assign(new Event("message"), { data })));
    };
    open.add(channel);
    return channel;
  }

  #lock({ signal }, work) {
    const before = this.#queue;
    const turn = new Promise((resolve, reject) => {
      before.then(() => resolve());
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    const done = turn.then(work);
    this.#queue = Promise.allSettled([before, done]);
    return done;
  }
}

/** Waits until something holds. */
export async function until(holds) {
  const deadline = performance.now() + PATIENCE;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it never came to hold: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
