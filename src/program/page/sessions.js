// The list of sessions, each with a button that ends it.

import { byId, element, timeOfDay } from "./dom.js";

/**
 * Draws the list.
 *
 * @param sessions as `GET /auth/sessions` lists them
 * @param end what a button does, with the session's id
 */
export function showSessions(sessions, end) {
  byId("sessions").replaceChildren(...sessions.map((session) => item(session, end)));
  byId("end-others").hidden = sessions.length < 2;
}

function item(session, end) {
  const name = session.device_name ?? browserOf(session.user_agent);
  return element(
    "li",
    { class: "session" },
    element("span", { class: `device ${session.transport}`, "aria-hidden": "true" }),
    element(
      "div",
      {},
      element("p", { class: "name" }, name, session.current ? element("span", { class: "badge" }, "this session") : undefined),
      element(
        "p",
        { class: "hint" },
        `${session.ip ?? "unknown address"}, last refreshed ${timeOfDay(new Date(session.last_seen_at))}, `,
        session.transport === "cookie" ? "refresh token in a cookie" : "refresh token in the app",
      ),
    ),
    element(
      "button",
      { type: "button", class: "quiet", "aria-label": `End the session ${name}`, onclick: () => end(session.id) },
      "End",
    ),
  );
}

/** A name that people know, out of a header that nobody reads. */
function browserOf(userAgent) {
  const known = [["Edg/", "Edge"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"], ["curl/", "curl"]];
  const found = known.find(([sign]) => userAgent?.includes(sign));
  return found ? found[1] : "Unknown device";
}
