// The frame of all pages: who looks, which page is shown, what comes in live, and that it does.

import { Refused } from "./api.js";
import { explore } from "./explore.js";
import { incident } from "./incident.js";
import { journal } from "./journal.js";
import { follow } from "./live.js";
import { overview } from "./overview.js";
import { policies } from "./policies.js";
import { ask, beginByProxy, leave, renew, session, takeFromLink } from "./session.js";
import { themed } from "./theme.js";
import { clock, now } from "./words.js";

const PAGES = { overview, incident, explore, policies, journal };
const TITLES = { overview: "Overview", incident: "Incident", explore: "Explore", policies: "Policies", journal: "Journal" };
const GATHER_MS = 150; // between two readings: what comes alone is shown at once, a crowd together
const content = document.getElementById("content");
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const out = document.getElementById("leave");

let current = null; // the page that is shown: { update(), told(record), themed(), close() }
let following = null;
let gathering = false;
let newest = 0; // offset of the record that was told last, and up to which all was read
let readTo = 0;
let lastLive = 0;
let trouble = ""; // why what is shown could not be read again, and since when it is as it is
let shownAt = 0;

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: PAGES[name] ? name : "overview", rest: rest.map(decodeURIComponent), query: new URLSearchParams(query) };
}

function navigate() {
  if (!session()) return begin();
  const { name, rest, query } = place();
  current?.close?.();
  document.title = `${TITLES[name]} · Mendline`;
  for (const one of document.querySelectorAll("[data-page]")) {
    if (one.dataset.page === name) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  content.replaceChildren();
  [trouble, shownAt] = ["", 0];
  current = PAGES[name](content, { rest, query });
  update();
}

async function update() {
  const page = current;
  try {
    await page?.update(newest);
    if (page === current) [trouble, shownAt] = ["", now()];
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return end("The session is over.");
    if (page === current) trouble = error.message;
    if (!(error instanceof Refused)) throw error;
  } finally {
    tellAge();
  }
}

/** Say why what is shown is not the newest, and as of when it is. */
function tellAge() {
  const isLive = live.dataset.state === "live";
  const old = shownAt ? ` What you see is as of ${clock(shownAt, 0)} UTC.` : "";
  lost.textContent = isLive ? trouble && `${trouble}${/[.!?]$/.test(trouble) ? "" : "."}${old}` : `The server does not answer. What you see is as of ${clock(lastLive, 0)} UTC; trying again.`;
  lost.hidden = !lost.textContent;
}

function told(record) {
  current?.told?.(record);
  newest = record.offset;
  if (current?.still) readTo = newest; // it looks by itself, now and then
  else if (!gathering) gather();
}

async function gather() {
  gathering = true;
  try {
    while (readTo < newest) {
      readTo = newest;
      await update();
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    }
  } finally {
    gathering = false;
  }
}

function setState(state) {
  live.dataset.state = state;
  live.textContent = state === "live" ? "live" : "not connected";
  if (state === "live") lastLive = 0;
  else lastLive ||= now();
  tellAge();
}

function end(trouble = "") {
  following?.abort();
  current?.close?.();
  current = null;
  leave();
  out.hidden = true;
  live.textContent = "";
  ask(content, begin, trouble);
}

function begin() {
  const who = session();
  if (!who) return end();
  out.hidden = false;
  out.textContent = `${who.name} · leave`;
  following?.abort();
  following = new AbortController();
  navigate();
  follow({ told, anew: update, state: setState, refused: () => end("The session is over."), signal: following.signal });
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  if (event.key === "/") {
    document.querySelector("input[type=search]")?.focus();
    event.preventDefault();
  } else if (event.key === "o") location.hash = "#/";
  else if (event.key === "j") location.hash = "#/journal";
  else if (event.key === "p") location.hash = "#/policies";
  else if (event.key === "e") location.hash = "#/explore";
}

addEventListener("hashchange", navigate);
addEventListener("keydown", key);
out.addEventListener("click", () => end());
themed(document.getElementById("theme"), () => current?.themed?.());
setInterval(() => renew().catch(() => {}), 60_000); // what is wrong then shows with the next answer
setInterval(() => current && live.dataset.state === "live" && current.pulse && update(), 10_000);

try {
  await takeFromLink();
  if (!session()) await beginByProxy();
  begin();
} catch (error) {
  end(error.message);
}
