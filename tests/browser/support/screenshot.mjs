// Lives through a session on the page of a demo, up to the thief who is found out, and takes a picture.

import { startBrowser } from "./browser.mjs";
import { Program } from "./program.mjs";

const [file, colorScheme, width] = process.argv.slice(2);

const program = await Program.start({}, ["--demo"]);
const browser = await startBrowser();
try {
  const page = await browser.newPage({ colorScheme, viewport: { width: Number(width), height: 900 }, locale: "en-GB" });
  await page.goto(program.address.href);
  await page.getByLabel("E-mail").fill("alice@example.com");
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.locator("#call").click();
  // First an expiry, and some seconds later one that is forced.
  await page.locator("#call-expired:enabled").waitFor();
  await page.locator("#call").click();
  await page.locator("#chain li:nth-child(2)").waitFor();
  await page.getByRole("button", { name: "Sign in on a phone" }).click();
  await page.locator("#call-expired:enabled").waitFor();
  await page.locator("#call-expired").click();
  await page.locator("#chain li:nth-child(3)").waitFor();
  // Forgiven, and then not.
  for (const generation of [1, 0]) {
    await page.locator(`[data-generation="${generation}"]`).click();
    await page.locator("#chain .use.thief").nth(1 - generation).waitFor();
  }
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForTimeout(500);
  await page.screenshot({ path: file, fullPage: true });
} finally {
  await browser.close();
  await program.stop();
}
