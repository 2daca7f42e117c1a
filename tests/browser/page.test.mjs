// The page at `/` of the program, used as somebody does who has come to watch.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import { startBrowser } from "./support/browser.mjs";
import { Program, eventually } from "./support/program.mjs";

let browser, program, context, page, faults;

/** Anything the page has no business with, like a script that its policy refuses. A refused call is none. */
function isFault(message) {
  return ["error", "warning"].includes(message.type()) && !/status of 401/.test(message.text());
}

async function open() {
  const opened = await context.newPage();
  opened.on("console", (message) => isFault(message) && faults.push(message.text()));
  opened.on("pageerror", (error) => faults.push(String(error)));
  await opened.goto(program.address.href);
  return opened;
}

async function register() {
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByRole("heading", { name: "Access token" }).waitFor();
}

/** Waits until the wire shows these messages last. */
async function showsLast(messages, tab = page) {
  let seen;
  const isThere = async () => {
    seen = await tab.locator("#sequence strong").allTextContents();
    return seen.slice(-messages.length).join() === messages.join();
  };
  await eventually(`the wire shows ${messages}`, isThere).catch((error) => assert.fail(`${error.message}, but ${seen}`));
}

/** Waits until the chain shows these fates. */
async function chainIs(fates) {
  let seen;
  const isThere = async () => {
    seen = await page.locator("#chain .fate").allTextContents();
    return seen.map((fate) => fate.replace(/ for .*/, "")).join() === fates.join();
  };
  await eventually(`the chain is ${fates}`, isThere).catch((error) => assert.fail(`${error.message}, but ${seen}`));
}

/** Waits until the JWT that the page holds is one that the server refuses. */
const expired = () => page.locator("#call-expired:enabled").waitFor();

const REFRESHED = ["GET /api/me", "401 token_expired", "POST /auth/refresh", "200", "GET /api/me", "200"];

describe("the page of a demo", () => {
  before(async () => {
    program = await Program.start({ AUTHFLOW_ACCESS_TTL: "1s", AUTHFLOW_REFRESH_GRACE: "3s" }, ["--demo"]);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await program?.stop();
  });
  beforeEach(async () => {
    faults = [];
    context = await browser.newContext();
    page = await open();
  });
  afterEach(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });

  it("shows 401, refresh and repeat, and the chain that grows", async () => {
    await register();
    await page.locator("#call").click();
    await showsLast(["POST /auth/register", "201", "GET /api/me", "200"]);
    await chainIs(["live"]);
    await expired();
    await page.locator("#call").click();
    await showsLast(REFRESHED);
    await chainIs(["forgiven", "live"]);
    assert.equal(await page.locator("#token-name").textContent(), "JWT 2");
  });
});
