// What happened about an incident, in order, with the time since its first sign; from a minute on, with the time of day.

import { el, panel } from "./dom.js";
import { clock, span } from "./words.js";

const TITLES = {
  fault: { opened: ["Fault found", "critical"], updated: ["Fault changed", "warning"], resolved: ["Fault gone", "ok"], orphaned: ["Fault orphaned", "faint"] },
  intent: { auto: ["Decided", "act"], ask: ["Asked", "act"], shadow: ["Would do", "faint"] },
  hold: {},
  outcome: { succeeded: ["Done", "act"], failed: ["Failed", "critical"], refused: ["Refused by the host", "warning"], timed_out: ["Took too long", "critical"] },
  verification: { mended: ["Verified: mended", "ok"], "not mended": ["Not mended", "critical"] },
  order: { approve: ["Approved", "info"], deny: ["Denied", "info"], acknowledge: ["Somebody looks at it", "info"], label: ["Labelled", "info"], note: ["Note", "info"], maintenance: ["Maintenance", "info"], silence: ["Silence", "info"], stop: ["Stop", "critical"] },
};

/** Return the title and tone of an entry. */
export function titled(entry) {
  if (entry.type === "hold") return [`Held by guard ${entry.what}`, "warning"];
  return TITLES[entry.type]?.[entry.what] ?? [`${entry.type} ${entry.what}`.trim(), "faint"];
}

const MINUTE_MS = 60_000;

/** Return the panel of the time line. */
export function timeline({ entries, cut }) {
  const first = entries[0]?.time;
  return panel("What happened",
    cut && el("p", { class: "faint" }, "Older entries are left out; the journal has them."),
    el("ol", { class: "line" }, entries.map((one) => line(one, first))));
}

function line(entry, first) {
  const [title, tone] = titled(entry);
  const after = entry.time - first;
  const near = after && after < MINUTE_MS; // later, so long an offset would tell no two steps apart
  return el("li", { class: `tone-${tone}` },
    el("span", { class: "line-time" }, el("time", { title: `${clock(entry.time)} UTC` }, near ? `+${span(after)}` : clock(entry.time, 0))),
    el("div", { class: "line-body" },
      el("span", { class: "line-what" }, title),
      el("span", { class: "line-text" }, entry.text),
      Object.entries(entry.attached).map(([name, text]) => el("details", {}, el("summary", {}, name), el("pre", {}, text)))));
}
