// A site under test: the program, a browser, and people, each with a profile and a wire of their own.

import { randomUUID } from "node:crypto";

import { startBrowser } from "./browser.mjs";
import { Program, eventually, pause } from "./program.mjs";
import { Wire } from "./wire.mjs";

export const PASSWORD = "correct horse battery staple";

/** The server admits a JWT for five seconds after its end, because clocks differ. */
const LEEWAY = 5_000;

/** A JWT lives for a second, so that a test sees several expire; the window is shorter than that takes. */
const LIVES = { AUTHFLOW_ACCESS_TTL: "1s", AUTHFLOW_REFRESH_GRACE: "2s" };

export class Site {
  #wires = [];

  static async open(variables = {}) {
    const site = new Site();
    site.program = await Program.start({ ...LIVES, ...variables });
    site.browser = await startBrowser();
    return site;
  }

  /** Somebody who has registered, with this many tabs. Several may live at the same time. */
  async person({ tabs = 1, storage = "local", host = "127.0.0.1", script } = {}) {
    const wire = await Wire.to(this.program.address);
    this.#wires.push(wire);
    const context = await this.browser.newContext();
    if (script) await context.addInitScript(script);
    const person = new Person(context, wire, wire.url(`/tab?storage=${storage}`, host));
    person.tabs = await Promise.all(Array.from({ length: tabs }, () => person.open()));
    person.session = await this.#register(person);
    return person;
  }

  /** Many register at the same time, and a busy machine asks some of them back before it has begun anything. */
  async #register({ tab, credentials }) {
    const register = (credentials) =>
      auth.register(credentials).catch((error) => {
        if (error.code !== "overloaded") throw error;
      });
    return eventually("there is room to register", () => tab.evaluate(register, credentials));
  }

  async close() {
    await this.browser?.close();
    await Promise.all(this.#wires.map((wire) => wire.close()));
    await this.program?.stop();
  }
}

export class Person {
  credentials = { email: `${randomUUID()}@example.com`, password: PASSWORD };
  tabs = [];

  constructor(context, wire, url) {
    this.context = context;
    this.wire = wire;
    this.url = url;
  }

  get tab() {
    return this.tabs[0];
  }

  /** One more tab, with the client loaded. */
  async open() {
    const tab = await this.context.newPage();
    await tab.goto(this.url);
    await tab.waitForFunction(() => globalThis.auth);
    return tab;
  }

  /** Waits until the server refuses the JWT that a tab has in its storage. */
  async expire(tab = this.tab) {
    const jwt = await storedJwt(tab);
    await pause(JSON.parse(Buffer.from(jwt.split(".")[1], "base64url")).exp * 1000 + LEEWAY + 100 - Date.now());
  }

  /** What goes over the wire while `action` runs. */
  async during(action) {
    const before = this.wire.seen.length;
    await action();
    return this.wire.seen.slice(before);
  }

  /** Calls the API in each tab at the same time; gives the statuses. */
  async callFromAll() {
    return Promise.all(this.tabs.map((tab) => callApi(tab)));
  }

  /** The refresh cookie, as only the browser knows it. */
  async cookie() {
    return (await this.context.cookies()).find((cookie) => cookie.value.startsWith("rt_"));
  }
}

/** The status of a call of the API, or the code of what was thrown instead. */
export const callApi = (tab) =>
  tab.evaluate(() =>
    auth.fetch("/api/me").then(
      (answer) => answer.status,
      (error) => error.code,
    ),
  );

/** The session as a tab knows it, without asking. */
export const sessionOf = (tab) => tab.evaluate(() => auth.session);

/** What `onChange` has told a tab, as types. */
export const changesOf = (tab) => tab.evaluate(() => changes);

/** The JWT, wherever in the storage of the page it is. */
export const storedJwt = (tab) =>
  tab.evaluate(() => Object.values({ ...localStorage, ...sessionStorage }).join().match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/)?.[0]);
