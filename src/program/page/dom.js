// Elements without markup in strings: text stays text.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. Properties are set as attributes, functions as listeners (`onclick`); what is `undefined` is left out.
 *
 * @param {string} name
 * @param {Record<string, unknown>} properties
 * @param {...(Node | string | undefined)} children
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** A time of day, to the second. */
export function timeOfDay(date) {
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** `20 s`, `10 min`, `14 d`: what a glance can take in. */
export function span(seconds) {
  if (seconds < 100) return [Math.max(0, Math.ceil(seconds)), "s"];
  if (seconds < 100 * 60) return [Math.round(seconds / 60), "min"];
  return seconds < 48 * 3600 ? [Math.round(seconds / 3600), "h"] : [Math.round(seconds / 86400), "d"];
}
