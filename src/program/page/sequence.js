// The sequence picture: one line for each message, from lane to lane, in the order of time.

import { byId, element, timeOfDay } from "./dom.js";
import { nameOf, wire } from "./wire.js";

const MOST_LINES = 60;
const list = byId("sequence");

/** Which calls are worth a line: those of the workflow, not those that only fetch what the page shows. */
const SHOWN = /^\/(api\/|auth\/(register|login|refresh|logout))/;

/** Draws what this tab sends and receives from now on. */
export function drawSequence() {
  wire.addEventListener("exchange", ({ detail }) => {
    if (SHOWN.test(detail.path)) line(detail.direction === "out" ? request(detail) : answer(detail));
  });
  byId("clear").addEventListener("click", () => list.replaceChildren());
}

/** Draws a refresh by the thief: what he presented, and what came of it. */
export function drawTheft({ presented, received, status, code }) {
  line({ route: "thief-out", title: "POST /auth/refresh", note: `stolen refresh token ${presented}`, tone: "theft" });
  const gained = received === null ? undefined : `refresh token ${received}`;
  line({ route: "thief-in", title: outcome(status, code), note: gained, tone: status === 200 ? "theft" : "bad" });
}

/** Marks that the session is over. */
export function drawEnd(reason) {
  line({ route: "end", title: "The session has ended", note: reason, tone: "bad" });
}

function request({ method, path, jwt, isSwapped }) {
  const cookie = path === "/auth/refresh" || path === "/auth/logout";
  const carried = [jwt && nameOf(jwt) + (isSwapped ? ", which has expired" : ""), cookie && "the cookie"];
  return { route: "out", title: `${method} ${path}`, note: carried.filter(Boolean).join(" and "), tone: "plain" };
}

function answer({ path, status, code, received }) {
  const gained = received && `${nameOf(received)}${path.startsWith("/auth/") ? ", and a cookie" : ""}`;
  const tone = status >= 200 && status < 300 ? "good" : code === "token_expired" ? "warn" : "bad";
  return { route: "in", title: outcome(status, code), note: gained, tone };
}

/** `401 token_expired`, `200`, or only why there is no status. */
const outcome = (status, code) => [status, code].filter(Boolean).join(" ");

function line({ route, title, note, tone }) {
  const words = { out: "Sent", in: "Received", "thief-out": "Thief sent", "thief-in": "Thief received", end: "" }[route];
  const made = element(
    "li",
    { class: `message ${route} ${tone}` },
    element("time", {}, timeOfDay(new Date())),
    element(
      "p",
      {},
      element("span", { class: "hidden" }, words, ": "),
      element("strong", {}, title),
      note ? element("span", { class: "note" }, ` ${note}`) : undefined,
    ),
    element("span", { class: "arrow", "aria-hidden": "true" }),
  );
  list.append(made);
  while (list.children.length > MOST_LINES) list.firstElementChild.remove();
  list.parentElement.scrollTop = list.parentElement.scrollHeight;
}
