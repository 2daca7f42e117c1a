// The access token: its life running down, and its claims.

import { byId, element, span, timeOfDay } from "./dom.js";
import { claimsOf, nameOf, serverNow } from "./wire.js";

const MEANINGS = {
  iss: "who issued it",
  aud: "for whom",
  sub: "the user",
  client_id: "application",
  sid: "the session",
  jti: "this JWT",
  iat: "issued",
  exp: "expires",
  auth_time: "signed in",
  roles: "roles",
  scope: "scopes",
};
const TIMES = ["iat", "exp", "auth_time"];

let shown;
let isDead = false;

/** Shows a JWT; shows nothing new if it is shown already. */
export function showToken(jwt) {
  if (jwt === shown) return;
  [shown, isDead] = [jwt, false];
  byId("token-name").textContent = nameOf(jwt);
  byId("claims").replaceChildren(...Object.entries(claimsOf(jwt)).map(([name, value]) => row(name, value)));
  tick();
}

/** The JWT that is shown, expired or not. */
export const shownToken = () => shown;

/** The session has ended, and the JWT with it. */
export function endToken() {
  isDead = true;
  tick();
}

/** Moves the ring. Called a few times a second. */
export function tick() {
  if (!shown) return;
  const { iat, exp } = claimsOf(shown);
  const left = exp - serverNow();
  const part = Math.min(1, Math.max(0, left / (exp - iat)));
  const life = isDead ? "dead" : left <= 0 ? "over" : part < 0.25 ? "ending" : "good";
  byId("ring").closest(".card").dataset.life = life;
  byId("ring").style.strokeDashoffset = String(100 * (1 - part));
  const [number, unit] = span(left);
  byId("left").textContent = String(number);
  byId("left-unit").textContent = unit;
  const state = {
    good: "is good for every call",
    ending: "is about to expire",
    over: "has expired: still good at /auth/refresh, beside the cookie",
    dead: "is refused: its session has ended",
  }[life];
  // Only when it changes: whoever listens is not told the same four times a second.
  if (byId("token-state").textContent !== state) byId("token-state").textContent = state;
}

function row(name, value) {
  const text = TIMES.includes(name) ? timeOfDay(new Date(value * 1000)) : Array.isArray(value) ? value.join(", ") || "none" : value;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("code", {}, name)),
    element("td", { class: "meaning" }, MEANINGS[name] ?? ""),
    element("td", { class: "value", title: String(text) }, String(text)),
  );
}
