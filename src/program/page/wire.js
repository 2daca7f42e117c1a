// Watches what the client sends and receives: it is handed `watched` in place of the browser's `fetch`.

/** What was sent and received, as `CustomEvent`s named `exchange`. */
export const wire = new EventTarget();

/** The JWTs that this page has met, in order. They have numbers, because nobody can tell them apart by their looks. */
const met = [];
/** The server's clock, as a distance to ours. */
let ahead = 0;
/** A JWT that the next call of the API is to carry in place of the client's. */
let instead;

/** The server admits a JWT for five seconds after its end, because clocks differ; and `Date` knows no fractions. */
const LEEWAY_SECONDS = 5 + 1;

/** The time by the server's clock, in seconds. Only as exact as the `Date` header. */
export const serverNow = () => (Date.now() + ahead) / 1000;

/** The claims of a JWT. The page shows them; it is the server that checks them. */
export function claimsOf(jwt) {
  const [, part] = jwt.split(".");
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** `JWT 3`. */
export function nameOf(jwt) {
  if (!met.includes(jwt)) met.push(jwt);
  return `JWT ${met.indexOf(jwt) + 1}`;
}

/**
 * The latest JWT of a session that the server calls expired, if there is one, and in how many seconds there will be one
 * that can be sent. Not while the client holds a young one: a refusal of that would look to it like a storm of refreshes.
 */
export function expiredOf(session) {
  const own = met.map((jwt) => [jwt, claimsOf(jwt)]).filter(([, claims]) => claims.sid === session);
  if (own.length === 0) return { jwt: undefined, wait: Infinity };
  const refusedIn = ([, claims]) => claims.exp + LEEWAY_SECONDS - serverNow();
  const [, newest] = own.at(-1);
  const oldIn = (newest.exp + newest.iat) / 2 + 2 - serverNow();
  const expired = own.findLast((one) => refusedIn(one) < 0);
  return { jwt: expired?.[0], wait: Math.max(refusedIn(expired ?? own[0]), oldIn, 0) };
}

/** Lets the next call of the API carry this JWT. */
export function callNextWith(jwt) {
  instead = jwt;
}

/** `fetch`, watched. */
export async function watched(input, init) {
  let request = new Request(input, init);
  const { pathname: path } = new URL(request.url);
  const isSwapped = instead !== undefined && path.startsWith("/api/");
  if (isSwapped) {
    request = new Request(request, { headers: { Authorization: `Bearer ${instead}` } });
    instead = undefined;
  }
  const jwt = request.headers.get("authorization")?.slice("Bearer ".length);
  const call = { method: request.method, path, jwt, isSwapped };
  tell({ ...call, direction: "out" });
  try {
    const answer = await fetch(request);
    keepTime(answer);
    tell({ ...call, direction: "in", status: answer.status, ...(await gist(answer)) });
    return answer;
  } catch (error) {
    tell({ ...call, direction: "in", status: 0, code: "no answer" });
    throw error;
  }
}

/** What an answer says, as far as the pictures show it. */
async function gist(answer) {
  if (!/json/.test(answer.headers.get("content-type") ?? "")) return {};
  const body = await answer.clone().json().catch(() => ({}));
  return { code: body.code, received: body.access_token };
}

function keepTime(answer) {
  const date = Date.parse(answer.headers.get("date") ?? "");
  // The header is cut to whole seconds: on average half a second has passed.
  if (!Number.isNaN(date)) ahead = date + 500 - Date.now();
}

function tell(detail) {
  wire.dispatchEvent(new CustomEvent("exchange", { detail }));
}
