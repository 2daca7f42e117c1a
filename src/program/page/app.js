// The page: a sign-in form, and a desk on which one session can be watched.

import { createAuth } from "/auth/client.js";

import { endChain, showChain, tick as tickChain } from "./chain.js";
import { byId, span } from "./dom.js";
import { drawEnd, drawSequence } from "./sequence.js";
import { showSessions } from "./sessions.js";
import { inventAccount, lastTyped, wireSignIn } from "./sign-in.js";
import { endToken, showToken, tick as tickToken } from "./token.js";
import { callNextWith, expiredOf, watched, wire } from "./wire.js";

const IS_DEMO = document.documentElement.dataset.demo === "on";
const auth = createAuth({ base: "/auth", fetch: watched });
const otherTabs = new BroadcastChannel("authflow page");

/** The session on the desk. It stays there when it has ended, so that one can see why. */
let onDesk = null;

const ENDINGS = {
  logged_out: "You are logged out, in all tabs.",
  refresh_token_reused:
    "This session has ended: one of its refresh tokens was used twice. Whoever had a copy has nothing any more. Sign in again.",
  session_revoked: "This session was ended. Sign in again.",
  refresh_token_expired: "This session has expired. Sign in again.",
};

start();

function start() {
  drawSequence();
  wireSignIn(auth, explain);
  wireDesk();
  auth.onChange(changed);
  wire.addEventListener("exchange", ({ detail }) => exchanged(detail));
  otherTabs.addEventListener("message", ({ data }) => callExpired(data.jwt));
  setInterval(tick, 250);
  if (IS_DEMO) inventAccount();
  if (auth.session) open(auth.session);
  else show("signed-out");
}

function wireDesk() {
  byId("call").addEventListener("click", call);
  byId("call-expired").addEventListener("click", () => callExpired(expiredOf(onDesk.id).jwt));
  byId("race").addEventListener("click", () => {
    const { jwt } = expiredOf(onDesk.id);
    otherTabs.postMessage({ jwt });
    callExpired(jwt);
  });
  byId("log-out").addEventListener("click", () => attempt(auth.logout));
  byId("sign-in-again").addEventListener("click", () => show("signed-out"));
  byId("end-others").addEventListener("click", () => attempt(() => auth.sessions.revokeOthers().then(listSessions)));
  byId("another-device").addEventListener("click", () => attempt(signInOnPhone));
}

/** What the client reports, of this tab and of others. */
function changed({ type, session, code, reason, elsewhere }) {
  if (type === "started") open(session);
  if (type === "refreshed" && elsewhere) {
    drawChain();
    listSessions();
  }
  if (type === "ended") close(code, reason);
  if (type === "storage") tell("This browser keeps no storage for the page: a reload will ask for the password again.");
}

function open(session) {
  const isOther = onDesk?.id !== session.id;
  onDesk = session;
  byId("who").textContent = session.user.email ?? session.user.id;
  document.body.dataset.session = "live";
  byId("verdict").textContent = "";
  show("signed-in");
  if (isOther) tell("");
  drawChain();
  listSessions();
}

function close(code, reason) {
  document.body.dataset.session = "over";
  const why = reason ? ` The server says why: ${reason}.` : "";
  tell((ENDINGS[code] ?? `This session has ended: ${code}.`) + why, code !== "logged_out");
  if (code === "logged_out") {
    onDesk = null;
    show("signed-out");
    return;
  }
  drawEnd(code);
  endToken();
  endChain();
  byId("sign-in-again").focus();
}

/** Keeps the desk in step with what went over the wire. */
function exchanged({ direction, path, status, jwt, isSwapped, received }) {
  if (!onDesk) return;
  // What the client sends is what it holds, also where another tab has got it. To ask the client would refresh it.
  const held = received ?? (direction === "out" && !isSwapped ? jwt : undefined);
  if (held) {
    showToken(held);
    tick();
  }
  if (direction === "out") return;
  if (path !== "/auth/refresh") return;
  drawChain();
  if (status === 200) listSessions();
}

function drawChain() {
  const { id } = onDesk;
  if (IS_DEMO) attempt(() => showChain(id));
}

function listSessions() {
  attempt(async () => showSessions(await auth.sessions.list(), end));
}

function end(id) {
  return attempt(() => auth.sessions.revoke(id).then(listSessions));
}

function call() {
  return attempt(async () => {
    const answer = await auth.fetch("/api/me");
    // Where the session has ended, that has been said.
    if (auth.session) tell(answer.ok ? "" : `The call was refused with status ${answer.status}.`, !answer.ok);
  });
}

/** A call whose JWT is an older one of this session: the server has to say that it has expired. */
function callExpired(jwt) {
  if (!jwt || !auth.session) return;
  callNextWith(jwt);
  return call();
}

/** A session of another device, whose refresh token the page forgets at once. */
async function signInOnPhone() {
  const answer = await fetch("/auth/login", {
    method: "POST",
    credentials: "omit",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...lastTyped(), transport: "body", device_name: "Phone" }),
  });
  if (!answer.ok) throw new Error("The password of this account is not known any more: log out and in again.");
  listSessions();
}

function tick() {
  if (!onDesk || !auth.session) return;
  tickToken();
  tickChain();
  const { jwt, wait } = expiredOf(onDesk.id);
  const isReady = jwt !== undefined && wait === 0;
  byId("call-expired").disabled = byId("race").disabled = !isReady;
  byId("another-device").hidden = !IS_DEMO || !lastTyped();
  const hint = isReady ? "" : `An expired JWT can be sent in ${span(wait).join(" ")}.`;
  if (byId("expired-hint").textContent !== hint) byId("expired-hint").textContent = hint;
}

/** Runs what may fail, and says so if it does. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    // Where the session has ended meanwhile, that has been said.
    if (auth.session || work === auth.logout) tell(explain(error), true);
  }
}

function explain(error) {
  return error.message || "Something went wrong.";
}

function tell(text, isBad = false) {
  byId("news").textContent = text;
  byId("news").parentElement.classList.toggle("bad", isBad);
}

function show(id) {
  for (const view of ["signed-out", "signed-in"]) byId(view).hidden = view !== id;
  byId("who").hidden = byId("own-buttons").hidden = id !== "signed-in";
}
