// The page at `/` of the program, used as somebody does who has come to watch.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import { startBrowser } from "./support/browser.mjs";
import { Program, eventually, pause } from "./support/program.mjs";

/** Longer than the window below. */
const LATER = 3_500;
const REFRESHED = ["GET /api/me", "401 token_expired", "POST /auth/refresh", "200", "GET /api/me", "200"];

let browser, program, context, page, faults;

/** Anything the page has no business with, like a script that its policy refuses. A refused call is none. */
function isFault(message) {
  return ["error", "warning"].includes(message.type()) && !/status of 401/.test(message.text());
}

function watch(tab) {
  tab.on("console", (message) => isFault(message) && faults.push(message.text()));
  tab.on("pageerror", (error) => faults.push(String(error)));
}

async function newPage(options = {}) {
  context = await browser.newContext(options);
  context.on("page", watch);
  page = await context.newPage();
  await page.goto(program.address.href);
}

async function register() {
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByRole("heading", { name: "Access token" }).waitFor();
}

/** Waits until these are the texts of the elements, or the last of them. */
async function shows(selector, texts, tab = page) {
  let seen;
  const isThere = async () => {
    seen = await tab.locator(selector).allTextContents();
    return seen.slice(-texts.length).join() === texts.join();
  };
  await eventually(`${selector} shows ${texts}`, isThere).catch((error) => assert.fail(`${error.message}, but ${seen}`));
}

const wireShows = (messages, tab) => shows("#sequence strong", messages, tab);

/** Waits until the page holds a JWT that the server refuses. */
const expired = () => page.locator("#call-expired:enabled").waitFor();

/** A call that finds its JWT expired. */
async function refresh() {
  await expired();
  await page.locator("#call").click();
  await wireShows(REFRESHED);
}

const presentCopy = (generation) => page.locator(`[data-generation="${generation}"]`).click();

/** What a checker of accessibility finds, contrast in the colours of now included. */
async function barriers() {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core"), "utf8"));
  // Not while something fades in.
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {}))));
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)}`);
}

describe("the page of a demo", () => {
  before(async () => {
    program = await Program.start({ AUTHFLOW_ACCESS_TTL: "3s", AUTHFLOW_REFRESH_GRACE: "3s" }, ["--demo"]);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await program?.stop();
  });
  beforeEach(async () => {
    faults = [];
    await newPage();
  });
  afterEach(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });

  it("shows 401, refresh and repeat, and a chain that grows", async () => {
    await register();
    await page.locator("#call").click();
    await wireShows(["POST /auth/register", "201", "GET /api/me", "200"]);
    await shows("#chain .fate", ["live"]);
    await refresh();
    await shows("#chain .fate", ["live"]);
    await shows("#chain .bead", ["0", "1"]);
    assert.equal(await page.locator("#token-name").textContent(), "JWT 2");
    await expired();
    await page.locator("#call-expired").click();
    await wireShows(REFRESHED);
  });

  it("shows a thief who comes within the window, and one who comes later", async () => {
    await register();
    await refresh();
    await presentCopy(0);
    await wireShows(["POST /auth/refresh", "200"]);
    await shows("#chain .use", ["tab: gave 1", "thief: gave 1"]);
    await pause(LATER);
    await presentCopy(0);
    await wireShows(["POST /auth/refresh", "401 refresh_token_reused"]);
    await shows("#chain .fate", ["reused", "ended"]);
    await page.locator("#call").click();
    await wireShows(["GET /api/me", "401 session_revoked", "POST /auth/refresh", "401 session_revoked", "The session has ended"]);
    assert.match(await page.locator("#news").textContent(), /reuse/);
    await page.getByRole("button", { name: "Sign in again" }).click();
    assert.ok(await page.getByLabel("E-mail").isVisible());
  });

  it("shows an owner who gives a quicker thief away", async () => {
    await register();
    await presentCopy(0);
    await wireShows(["POST /auth/refresh", "200"]);
    await shows("#chain .bead", ["0", "1"]);
    await pause(LATER);
    await expired();
    await page.locator("#call").click();
    await wireShows(["401 refresh_token_reused", "The session has ended"]);
    assert.match(await page.locator("#news").textContent(), /used twice/);
    await shows("#chain .fate", ["reused", "ended"]);
  });

  it("opens a second tab that shares the session, and both expire at once", async () => {
    await register();
    const [second] = await Promise.all([
      context.waitForEvent("page"),
      page.getByRole("link", { name: "Open a second tab" }).click(),
    ]);
    await second.getByRole("heading", { name: "Access token" }).waitFor();
    await expired();
    await page.locator("#race").click();
    for (const tab of [page, second]) await wireShows(["GET /api/me", "200"], tab);
    await shows("#chain .bead", ["0", "1"]);
    assert.match((await second.locator("#sequence strong").allTextContents()).join(), /401 token_expired/);
    await second.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.match(await page.locator("#news").textContent(), /logged out/);
  });

  it("lists the sessions and ends them", async () => {
    await register();
    await page.getByRole("button", { name: "Sign in on a phone" }).click();
    await page.getByRole("button", { name: "End the session Phone" }).click();
    await shows("#sessions .name", ["Chromethis session"]);
    await page.getByRole("button", { name: "End the session Chrome" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("is worked by the keyboard alone, and says what is wrong", async () => {
    await page.getByLabel("E-mail").fill("nobody");
    await page.getByLabel("E-mail").fill("nobody@example.com");
    await page.getByLabel("Password").press("Tab");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Log in");
    await page.keyboard.press("Enter");
    await shows("[role=alert]", ["E-mail or password is wrong."]);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Access token" }).waitFor();
  });

  for (const colorScheme of ["light", "dark"]) {
    it(`has no barriers that a checker finds, in ${colorScheme}, and fits a phone`, async () => {
      await context.close();
      await newPage({ colorScheme, viewport: { width: 360, height: 740 } });
      assert.deepEqual(await barriers(), []);
      await register();
      await presentCopy(0);
      await shows("#chain .use", ["thief: gave 1"]);
      assert.deepEqual(await barriers(), []);
      await pause(LATER);
      await presentCopy(0);
      await wireShows(["POST /auth/refresh", "401 refresh_token_reused"]);
      await page.locator("#call").click();
      await wireShows(["The session has ended"]);
      assert.deepEqual(await barriers(), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out");
    });
  }
});

describe("the page of a service", () => {
  before(async () => {
    program = await Program.start();
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await program?.stop();
  });

  it("does what the scope offers, and asks for nothing else", async () => {
    faults = [];
    await newPage();
    assert.equal(await page.getByLabel("Password").inputValue(), "", "nobody is invented");
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.getByLabel("E-mail").fill("alice@example.com");
    await page.getByLabel("Password").fill("correct horse battery staple");
    await register();
    await page.locator("#call").click();
    await wireShows(["GET /api/me", "200"]);
    assert.ok(await page.locator("#chain-card").isHidden());
    assert.ok(asked.every((path) => !path.startsWith("/demo")), asked.join());
    assert.deepEqual(faults, []);
  });
});
