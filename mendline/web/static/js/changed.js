// What changed around a moment: series of a host and its peers, ranked, with what people and machines changed beside it.

import { get } from "./api.js";
import { el, panel } from "./dom.js";
import { amount, clock, date, plural } from "./words.js";

/** Show in `place` what changed on `source` around `at`; `add` is told of a series to be drawn. */
export async function changed(place, source, at, add) {
  place.replaceChildren(panel(heading(at), el("p", { class: "faint", role: "status" }, "Looking …")));
  const found = await get("shifts", { source, at }).catch((error) => ({ trouble: error.message }));
  if (found.trouble) return place.replaceChildren(panel(heading(at), el("p", { class: "banner warning" }, found.trouble)));
  place.replaceChildren(panel(heading(at),
    el("p", { class: "faint", role: "status" }, `${plural(found.compared, "series", "series")} of ${found.sources.join(", ")}: five minutes after it compared with five minutes before${found.cut ? "; there was more than could be read" : ""}.`),
    el("div", { class: "columns" }, el("div", { class: "scroll ranking", tabindex: "0", role: "region", "aria-label": "Series that changed" }, ranking(found.shifts, add)), made(found.changes))));
}

const heading = (at) => `What changed around ${clock(at, 0)} UTC`;

function ranking(shifts, add) {
  if (!shifts.length) return el("p", {}, "No series changed by more than it varies.");
  const most = Math.log(shifts[0].score);
  return el("table", {},
    el("thead", {}, el("tr", {}, ["by", "series", "before", "after", ""].map((one) => el("th", { class: ["before", "after"].includes(one) ? "number" : null }, one)))),
    el("tbody", {}, shifts.map((one) => el("tr", {},
      el("td", {}, el("meter", { min: 0, max: most, value: Math.log(one.score), title: `${one.score} times what it varies`, "aria-label": `${one.score} times what it varies` })),
      el("td", {}, el("b", {}, one.source), ` ${one.label}`),
      el("td", { class: "number" }, amount(one.before, one.unit)),
      el("td", { class: "number" }, amount(one.after, one.unit)),
      el("td", {}, el("button", { type: "button", class: "quiet", "aria-label": `Show ${one.label} of ${one.source}`, onclick: () => add(one.source, one.label) }, "Show"))))));
}

function made(changes) {
  return el("div", {}, el("h3", {}, "Changed by people and machines"),
    changes.length
      ? el("ul", { class: "changes" }, changes.map((one) => el("li", {}, el("time", { class: "faint", title: `${date(one.time)} UTC` }, clock(one.time, 0)), " ", el("b", {}, one.target), ` ${one.text}`)))
      : el("p", { class: "faint" }, "Nothing that Mendline was told of in the hour before."));
}
