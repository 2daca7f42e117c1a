// The form: one pair of fields, two buttons.

import { byId } from "./dom.js";

/** What was typed last, so that the demo can sign in on a second device. Gone with the page. */
let typed;
export const lastTyped = () => typed;

/**
 * Wires the form.
 *
 * @param {{register: (credentials: object) => Promise<unknown>, login: (credentials: object) => Promise<unknown>}} auth
 * @param {(error: Error) => string} explain
 */
export function wireSignIn(auth, explain) {
  const form = byId("sign-in");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = event.submitter?.name === "login" ? "login" : "register";
    const buttons = [...form.querySelectorAll("button")];
    buttons.forEach((button) => (button.disabled = true));
    byId("sign-in-error").textContent = "";
    try {
      typed = { email: form.email.value, password: form.password.value };
      await auth[wanted](typed);
    } catch (error) {
      byId("sign-in-error").textContent = explain(error);
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  });
}

/** In a demo an account is invented, so that nobody types their own. */
export function inventAccount() {
  const number = crypto.getRandomValues(new Uint32Array(1))[0] % 1e6;
  byId("email").value = `guest-${number}@example.com`;
  byId("password").value = `only for show ${crypto.getRandomValues(new Uint32Array(1))[0]}`;
}
