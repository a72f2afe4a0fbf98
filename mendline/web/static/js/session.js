// Who looks at the page: a session in the browser's storage of exactly this scheme, name and port.

import { el } from "./dom.js";
import { now } from "./words.js";

const KEY = "mendline.session";
const RENEW_MS = 6 * 3_600_000;

/** Return the session, null when nobody has begun one. */
export function session() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY));
    return found && found.expires_at > now() ? found : null;
  } catch {
    return null;
  }
}

export const leave = () => localStorage.removeItem(KEY);

/** Say whether whoever looks may do what needs `role`. */
export function may(role) {
  const order = ["view", "operate", "administer"];
  return order.indexOf(session()?.role) >= order.indexOf(role);
}

/** Begin a session if a proxy says who this is. Throws an Error for somebody who may not look. */
export async function beginByProxy() {
  const answer = await fetch("/api/session", { method: "POST" });
  if (answer.ok) localStorage.setItem(KEY, JSON.stringify(await answer.json()));
  else if (answer.status === 403) throw new Error((await answer.json()).detail);
}

/** Exchange a token for a session. Throws an Error that says why not. */
export async function begin(token) {
  const answer = await fetch("/api/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) throw new Error(answer.status === 401 ? "This token is not known here, or not any more." : `The server says ${answer.status}.`);
  localStorage.setItem(KEY, JSON.stringify(await answer.json()));
}

/** Begin the session anew once half of it is over: a page that stays open stays in. */
export async function renew() {
  const found = session();
  if (found && found.expires_at - now() < RENEW_MS) await begin(found.session);
}

/** Take the token out of the link, if it has one, before anything else sees it. */
export async function takeFromLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", "/#/");
  await begin(token);
}

/** Show a form for a token in `place`; `done` is called when there is a session. */
export function ask(place, done, trouble = "") {
  const field = el("input", { type: "password", name: "token", required: true, autocomplete: "off", "aria-label": "Token" });
  const said = el("p", { class: "banner critical", role: "alert", hidden: !trouble }, trouble);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await begin(field.value.trim());
      done();
    } catch (error) {
      said.hidden = false;
      said.textContent = error.message;
    }
  };
  place.replaceChildren(
    el("section", { class: "panel login" },
      el("h1", {}, "Show a token"),
      el("p", {}, "On the host that serves this page, ", el("code", {}, "mendline ui --link"), " prints a link that carries one."),
      said,
      el("form", { onsubmit: submit }, field, el("button", { class: "yes" }, "Go on")),
    ),
  );
  field.focus();
}
