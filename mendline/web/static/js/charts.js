// The charts of an incident: the series that its faults rest on, the range that was expected, and when what was done.

import { get } from "./api.js";
import { el, panel } from "./dom.js";
import { HEIGHT, plot, shared, telling, title } from "./plot.js";
import { titled } from "./timeline.js";
import { now } from "./words.js";

const BEFORE_MS = 300_000;
const AFTER_MS = 60_000;
const SHORTEST_MS = 60_000;
const LONGEST_MS = 6 * 86_400_000;
const MOST_FAULTS = 3;
const KEEP_MS = 30_000;

/** Draw into `place`; `update` takes the facts of an incident, `redraw` draws anew, `close` lets go. */
export function charts(place) {
  const expected = expectations();
  let drawn = [];
  let shown = "";
  let last = null;
  const sizes = new ResizeObserver(() => drawn.forEach(({ plot: one, box }) => box.clientWidth && one.setSize({ width: box.clientWidth, height: HEIGHT })));

  async function update(facts) {
    const span = extent(facts.row);
    const found = await Promise.all(distinct(facts.faults).slice(0, MOST_FAULTS).map(async (fault) => ({ fault, ...(await get(`faults/${fault.id}/chart`, span)) })));
    const marks = facts.entries.map((one) => ({ time: one.time, title: titled(one) })).filter(({ title: [, tone] }) => tone !== "faint" && tone !== "info");
    const text = JSON.stringify([found, marks]);
    if (text === shown) return;
    shown = text;
    last = { found, marks };
    redraw();
    const bands = await Promise.all(found.map(({ fault }) => expected(fault, span)));
    if (shown !== text || !bands.some((one) => one.length)) return;
    last = { found: found.map((one, number) => ({ ...one, bands: bands[number] })), marks };
    redraw();
  }

  function redraw() {
    close();
    if (!last) return;
    const curves = last.found.flatMap(curvesOf);
    if (!curves.length) return place.replaceChildren();
    const boxes = curves.map((curve) => ({ curve, box: el("div", {}) }));
    place.replaceChildren(panel("Evidence",
      boxes.map(({ curve, box }) => el("figure", { class: "chart" }, title(curve), box)),
      legend(last.marks, curves), last.found.some(({ cut }) => cut) && el("p", { class: "faint" }, "There was more than could be read; the chart ends early.")));
    drawn = boxes.map(({ curve, box }) => ({ box, plot: plot(curve, last.marks, box) }));
    boxes.forEach(({ box }) => sizes.observe(box));
  }

  function close() {
    sizes.disconnect();
    drawn.forEach(({ plot: one }) => one.destroy());
    drawn = [];
  }

  return { update, redraw, close };
}

/** Return the time that the charts are about: from before the first sign to after the end. */
function extent({ opened_at: begin, closed_at: closed }) {
  const end = (closed ?? now()) + AFTER_MS;
  const from = begin - Math.max(SHORTEST_MS, Math.min(BEFORE_MS, (end - begin) * 2));
  return { begin: Math.floor(from), end: Math.ceil(Math.min(end, from + LONGEST_MS)) };
}

const curvesOf = ({ curves, times, source, bands = [] }) => curves
  .filter(({ values }) => values.some((value) => value !== null))
  .map((curve) => ({ ...curve, times, source, band: telling(bands, curve, times) }));

/** Return what asks for the bands of a fault's series, and keeps them for a while: they are worked out each time. */
function expectations() {
  const kept = new Map();
  return async ({ id, host, series, detector, open }, span) => {
    const known = kept.get(id);
    if (!series) return [];
    if (known && known.open === open && (!open || Date.now() - known.at < KEEP_MS)) return known.bands;
    const { bands } = await get("bands", { source: host, label: series, detector, ...shared(span) }).catch(() => ({ bands: [] }));
    kept.set(id, { at: Date.now(), open, bands });
    return bands;
  };
}

/** Return the faults without those that rest on the same series, or on none of the same target. */
function distinct(faults) {
  const seen = new Set();
  return faults.filter((one) => {
    const key = `${one.series ? one.host : one.target} ${one.series}`;
    return !seen.has(key) && seen.add(key);
  });
}

function legend(marks, curves) {
  const kinds = new Map(marks.map(({ title: [text, tone] }) => [text, tone]));
  if (curves.some(({ band }) => band)) kinds.set("Surprise (below)", "warning");
  return el("div", { class: "marks" }, [...kinds].map(([text, tone]) => el("span", { class: `tone-${tone}` }, text)));
}
