// The journal, searchable: everything that was seen, decided and done, the newest first.

import { get } from "./api.js";
import { el, panel } from "./dom.js";
import { titled } from "./timeline.js";
import { date, plural } from "./words.js";

const MOST = 100;

/** Show the journal; `words` of the query are searched. */
export function journal(content, { query }) {
  const field = el("input", { type: "search", value: query.get("words") ?? "", placeholder: "words that must all be there: a host, restart, hold, a fault's id …", "aria-label": "Search the journal" });
  const list = el("ol", { class: "entries" });
  const said = el("p", { class: "faint", role: "status" });
  const older = el("button", { type: "button", onclick: () => more(), hidden: true }, "Older");
  const fresh = el("button", { type: "button", onclick: () => anew(), hidden: true }, "");
  let next = null;
  let came = 0;
  let asked = 0;
  let loaded = false;

  const submit = (event) => {
    event.preventDefault();
    const words = field.value.trim();
    history.replaceState(null, "", `#/journal${words ? `?${new URLSearchParams({ words })}` : ""}`);
    anew();
  };
  content.append(panel("Journal", el("form", { class: "search", role: "search", onsubmit: submit }, field, el("button", {}, "Search"))),
    el("section", { class: "panel", "aria-label": "Entries" }, fresh, list, said, el("div", { class: "buttons" }, older)));

  async function anew() {
    came = 0;
    fresh.hidden = true;
    list.replaceChildren();
    next = null;
    await more();
  }

  async function more() {
    const mine = ++asked;
    older.disabled = true;
    said.textContent = "Looking …";
    try {
      const found = await get("journal", { words: field.value.trim(), before: next, most: MOST });
      if (mine !== asked) return;
      list.append(...found.entries.map(entry));
      next = found.older;
      older.hidden = next === null;
      said.textContent = next === null ? `${list.children.length ? plural(list.children.length, "entry", "entries") : "No entries"}; the journal begins here.` : found.entries.length ? "" : "Nothing in the part that was looked through; go on with Older.";
    } catch (error) {
      said.textContent = error.message;
      throw error;
    } finally {
      older.disabled = false;
    }
  }

  async function update() {
    if (loaded) return;
    loaded = true;
    await anew();
  }

  function told() {
    came += 1;
    fresh.hidden = false;
    fresh.textContent = `${came} new: read anew`;
  }

  return { update, told };
}

function entry(one) {
  const [title, tone] = titled(one);
  return el("li", { class: "entry" },
    el("time", { datetime: new Date(one.time).toISOString() }, `${date(one.time)}`),
    el("span", { class: `chip ${tone === "faint" ? "" : tone}` }, title),
    el("span", { class: "entry-text" }, one.text, " ", one.fault && el("a", { href: `#/incident/${one.fault}`, class: "mono" }, one.fault.slice(0, 8))));
}
