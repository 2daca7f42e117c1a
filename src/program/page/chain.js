// The chain of refresh tokens, by what the program behind `--demo` has seen of it: numbers and times, never a token.

import { byId, element, span, timeOfDay } from "./dom.js";
import { drawTheft } from "./sequence.js";
import { shownToken } from "./token.js";

const list = byId("chain");

/** The chain as it was seen last, the distance of the server's clock to ours, and the session. */
let chain;
let ahead = 0;
let session;
let ended = false;

/** Fetches and draws the chain of a session. */
export async function showChain(sessionId) {
  if (session !== sessionId) [session, ended, chain] = [sessionId, false, undefined];
  const answer = await fetch(`/demo/sessions/${sessionId}`);
  byId("chain-card").hidden = !answer.ok;
  if (!answer.ok) return;
  chain = await answer.json();
  ahead = Date.parse(chain.now) - Date.now();
  byId("window").textContent = span(chain.window_seconds).join(" ");
  draw();
}

/** The session is over: nothing of the chain lives. */
export function endChain() {
  ended = true;
  if (chain) draw();
}

/** Keeps the seconds of the window right. Called a few times a second. */
export function tick() {
  if (!chain || isOver()) return;
  const state = byId("state-of-last");
  if (state) state.textContent = stateOf(chain.generations.length - 2);
}

/** A reuse ends the session even before its owner has noticed. */
const isOver = () => ended || chain.presentations.some(({ code }) => code === "refresh_token_reused");

function draw() {
  const focused = document.activeElement?.dataset?.generation;
  list.replaceChildren(...chain.generations.map((_, place) => node(place)));
  if (focused) list.querySelector(`[data-generation="${focused}"]`)?.focus();
  const telling = list.querySelector(".reused") ?? list.lastElementChild;
  list.scrollLeft = telling ? telling.offsetLeft - list.offsetLeft - list.clientWidth + telling.offsetWidth : 0;
}

function node(place) {
  const { generation, issued_at: issuedAt } = chain.generations[place];
  const presented = chain.presentations.filter((one) => one.presented === generation);
  const isReused = presented.some((one) => one.code === "refresh_token_reused");
  const isNewest = place === chain.generations.length - 1;
  const kind = isReused ? "reused" : isNewest ? (isOver() ? "dead" : "live") : "retired";
  return element(
    "li",
    { class: `generation ${kind}`, "aria-current": kind === "live" ? "true" : undefined },
    element("span", { class: "bead", "aria-hidden": "true" }, String(generation)),
    element("span", { class: "hidden" }, `Refresh token ${generation}: `),
    element("span", { class: "fate", id: place === chain.generations.length - 2 ? "state-of-last" : undefined }, stateOf(place)),
    element("time", { datetime: issuedAt }, timeOfDay(new Date(issuedAt))),
    element("ul", { class: "uses" }, ...presented.map(use)),
    isOver()
      ? undefined
      : element(
          "button",
          { type: "button", class: "quiet steal", "data-generation": generation, onclick: () => replay(generation) },
          "Present a copy",
        ),
  );
}

function stateOf(place) {
  const { generation } = chain.generations[place];
  if (chain.presentations.some((one) => one.presented === generation && one.code === "refresh_token_reused")) {
    return "reused";
  }
  const successor = chain.generations[place + 1];
  if (isOver()) return successor ? "replaced" : "ended";
  if (!successor) return "live";
  const left = (Date.parse(successor.issued_at) - Date.now() - ahead) / 1000 + chain.window_seconds;
  // Of the rule: only the predecessor of the newest is forgiven.
  return left > 0 && place === chain.generations.length - 2 ? `forgiven for ${span(left).join(" ")}` : "replaced";
}

function use({ by, presented, received, code }) {
  const who = by === "thief" ? "thief" : "tab";
  const what = code?.replace("refresh_token_", "") ?? (received === presented ? "same again" : `gave ${received}`);
  return element("li", { class: `use ${who}${code ? " refused" : ""}` }, `${who}: ${what}`);
}

/** A thief who has the cookie has the JWT as well. That it has expired does not matter. */
async function replay(generation) {
  const path = `/demo/sessions/${session}/replay/${generation}`;
  const answer = await fetch(path, { method: "POST", headers: { Authorization: `Bearer ${shownToken()}` } });
  if (!answer.ok) return;
  const outcome = await answer.json();
  drawTheft(outcome);
  byId("verdict").textContent = verdict(outcome);
  byId("verdict").className = `verdict ${outcome.code ? "bad" : "theft"}`;
  await showChain(session);
}

/** What has just been seen, in words. */
function verdict({ presented, received, code }) {
  const newest = chain.generations.at(-1).generation;
  if (code === "refresh_token_reused") {
    return `Token ${presented} had been replaced, and the window was over: somebody has a copy. The session ends on every
      node, for the thief and for you. Your next call will tell you.`;
  }
  if (code) return `The thief got nothing: ${code}.`;
  if (received === presented) {
    return `Token ${presented} is younger than the window, so it is given again as it is. Nobody was locked out, and nothing
      is won: the thief holds what you hold.`;
  }
  if (presented === newest) {
    return `The thief was quicker: he has replaced your token ${presented} by ${received}. Refresh within the window, and you
      get the same ${received}. Refresh later, and your own old token gives the theft away.`;
  }
  return `Token ${presented} was replaced only a moment ago, as after a lost answer: the same successor ${received} again, and
    the chain does not fork.`;
}
