// Incidents in lines, and the words for what goes on about them.

import { chip, el } from "./dom.js";
import { ago, ordinal, plural, span } from "./words.js";

export const DOING = {
  asks: ["waits for an answer", "act"],
  mending: ["being mended", "act"],
  held: ["held", "warning"],
  mended: ["mended", "ok"],
  over: ["over", ""],
};

/** Return a chip for what goes on, nothing for nothing. */
export const doing = (what) => (DOING[what] ? chip(...DOING[what]) : null);

/** Return how long and how often something was wrong, if there were times between in which nothing was. */
export const spells = (row, before) => (row.spells < 2 ? "" : row.open ? `${before}the ${ordinal(row.spells)} time` : `${before}${span(row.wrong_ms)} of it, ${row.spells} times`);

/** Return an incident as a line that leads to it. */
export function incidentRow(row) {
  const side = row.open ? ago(row.opened_at, "for ", "") : [ago(row.closed_at), ` · took ${span(row.closed_at - row.opened_at)}${spells(row, ", wrong for ")}`];
  const others = row.faults > 1 ? ` · ${plural(row.faults, "fault")} on ${plural(row.targets, "target")}` : "";
  return el("li", {},
    el("a", { class: `row ${row.open ? row.severity : "over"}`, href: `#/incident/${row.id}`, "data-key": row.id },
      el("span", { class: "row-title" },
        el("span", {}, `${row.target} ${row.kind}`),
        row.open ? chip(row.severity, row.severity) : null,
        doing(row.doing),
        row.acknowledged && row.open ? chip("somebody looks at it") : null,
      ),
      el("span", { class: "row-side" }, side, others),
      el("span", { class: "row-text" }, row.text),
    ),
  );
}
