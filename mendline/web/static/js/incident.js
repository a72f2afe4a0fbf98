// One incident: from the first sign to the proof that it is mended.

import { get } from "./api.js";
import { charts } from "./charts.js";
import { chip, el, panel, show } from "./dom.js";
import { faults } from "./faults.js";
import { about } from "./orders.js";
import { doing, spells } from "./rows.js";
import { timeline } from "./timeline.js";
import { may } from "./session.js";
import { ago, clock, date, plural, span } from "./words.js";

/** Show the incident that the first part of `rest` names, or that of a fault or an intent. */
export function incident(content, { rest: [name] }) {
  const places = Object.fromEntries(["head", "orders", "cause", "edits", "evidence", "faults", "line"].map((one) => [one, el("div", {})]));
  const drawn = charts(places.evidence);
  content.append(places.head, places.orders,
    el("div", { class: "columns" },
      el("div", { class: "stack" }, places.evidence, places.line),
      el("div", { class: "stack" }, places.cause, places.edits, places.faults)));

  let isOpen = false;

  async function update() {
    const facts = await get(`incidents/${encodeURIComponent(name)}`);
    isOpen = facts.row.open; // so long its charts go on
    document.title = `${facts.row.target} ${facts.row.kind} · Mendline`;
    show(places.head, facts.row, head);
    show(places.orders, [facts.row, facts.faults.map(({ question, hold, open, acknowledged }) => [question?.subject, hold, open, acknowledged])], () => about(facts.row, facts.faults));
    show(places.cause, facts.causes, causes);
    if (may("operate")) show(places.edits, await get(`incidents/${encodeURIComponent(facts.row.id)}/edits`), edits);
    show(places.faults, facts.faults, faults);
    show(places.line, [facts.entries, facts.cut], () => timeline(facts));
    await drawn.update(facts);
  }

  return { update, themed: drawn.redraw, close: drawn.close, get pulse() { return isOpen; } };
}

function head(row) {
  const lasted = row.open ? [ago(row.opened_at, "open for ", ""), spells(row, ", ")] : `over after ${span(row.closed_at - row.opened_at)}${spells(row, ", wrong for ")}`;
  return el("header", { class: "incident-head" },
    el("div", { class: "buttons" },
      row.open ? chip(row.severity, row.severity) : chip("over", "ok"),
      doing(row.doing === "over" ? "" : row.doing),
      row.acknowledged && row.open ? chip("somebody looks at it") : null),
    el("h1", {}, `${row.target} ${row.kind}`),
    el("p", {}, row.text),
    el("div", { class: "facts" },
      el("span", {}, "since ", el("b", {}, `${date(row.opened_at)} UTC`)),
      el("span", {}, lasted),
      el("span", {}, `${plural(row.faults, "fault")} on ${plural(row.targets, "target")}`),
      row.owner && el("span", {}, "answers for it: ", el("b", {}, row.owner)),
      el("span", { class: "mono" }, row.id.slice(0, 8))));
}

function edits(found) {
  if (!found.length) return null;
  return panel("Edited before it", found.map((one) => el("div", { class: "edit" },
    el("p", {}, el("time", { class: "faint", title: `${date(one.time)} UTC` }, clock(one.time, 0)), " ", el("b", {}, one.target), ` ${one.text}`),
    one.diff ? el("pre", { tabindex: "0", class: "diff", "aria-label": `What was edited of ${one.target}` }, one.diff.split("\n").map(diffLine)) : el("p", { class: "faint" }, one.why))));
}

const diffLine = (text) => [el("span", { class: { "+": "added", "-": "removed" }[text[0]] ?? null }, text), "\n"];

function causes(found) {
  return panel(["Likely cause", el("span", { class: "faint" }, "ranked; no probabilities")],
    el("ol", { class: "causes" }, found.map((one) => el("li", {},
      el("meter", { min: 0, max: 100, value: one.score, "aria-label": `rank ${one.score} of 100` }),
      el("span", { class: "wrap" }, one.text)))));
}
