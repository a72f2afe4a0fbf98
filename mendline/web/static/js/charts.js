// The charts of an incident: the series that its faults rest on, the range that was expected, and when what was done.

import { get } from "./api.js";
import { el, panel } from "./dom.js";
import { colour } from "./theme.js";
import { titled } from "./timeline.js";
import { amount, amounts, clock, now, range } from "./words.js";

const BEFORE_MS = 300_000;
const AFTER_MS = 60_000;
const SHORTEST_MS = 60_000;
const MOST_FAULTS = 3;
const HEIGHT = 170;
const DOUBLED = Array.from({ length: 60 }, (_, power) => 2 ** power);

/** Draw into `place`; `update` takes the facts of an incident, `redraw` draws anew, `close` lets go. */
export function charts(place) {
  let drawn = [];
  let shown = "";
  let last = null;
  const sizes = new ResizeObserver(() => drawn.forEach(({ plot, box }) => box.clientWidth && plot.setSize({ width: box.clientWidth, height: HEIGHT })));

  async function update(facts) {
    const wanted = distinct(facts.faults).slice(0, MOST_FAULTS);
    const begin = facts.row.opened_at;
    const end = (facts.row.closed_at ?? now()) + AFTER_MS;
    const from = begin - Math.max(SHORTEST_MS, Math.min(BEFORE_MS, (end - begin) * 2));
    const found = await Promise.all(wanted.map((one) => get(`faults/${one.id}/chart`, { begin: Math.floor(from), end: Math.ceil(Math.min(end, from + 6 * 86_400_000)) })));
    const marks = facts.entries.map((one) => ({ time: one.time, title: titled(one) })).filter(({ title }) => title[1] !== "faint" && title[1] !== "info");
    const text = JSON.stringify([found, marks]);
    if (text === shown) return;
    shown = text;
    last = { found, marks };
    redraw();
  }

  function redraw() {
    close();
    if (!last) return;
    const curves = last.found.flatMap((one) => one.curves.filter(({ values }) => values.some((value) => value !== null)).map((curve) => ({ ...curve, times: one.times, source: one.source })));
    if (!curves.length) return place.replaceChildren();
    const boxes = curves.map((curve) => ({ curve, box: el("div", {}) }));
    place.replaceChildren(panel("Evidence",
      boxes.map(({ curve, box }) => el("figure", { class: "chart" }, title(curve), box)),
      legend(last.marks), last.found.some(({ cut }) => cut) && el("p", { class: "faint" }, "There was more than could be read; the chart ends early.")));
    drawn = boxes.map(({ curve, box }) => ({ box, plot: plot(curve, last.marks, box) }));
    boxes.forEach(({ box }) => sizes.observe(box));
  }

  function close() {
    sizes.disconnect();
    drawn.forEach(({ plot }) => plot.destroy());
    drawn = [];
  }

  return { update, redraw, close };
}

/** Return the faults without those that rest on the same series, or on none of the same target. */
function distinct(faults) {
  const seen = new Set();
  return faults.filter((one) => {
    const key = `${one.series ? one.host : one.target} ${one.series}`;
    return !seen.has(key) && seen.add(key);
  });
}

export function title({ label, source, unit, low, high, values }) {
  const newest = values.findLast((one) => one !== null);
  const expected = range(low, high, unit);
  return el("figcaption", { class: "chart-title" }, el("b", {}, label), el("span", { class: "faint" }, `${source} · last ${amount(newest, unit)}${expected && ` · expected ${expected}`}`));
}

function legend(marks) {
  const kinds = new Map(marks.map(({ title: [text, tone] }) => [text, tone]));
  return el("div", { class: "marks" }, [...kinds].map(([text, tone]) => el("span", { class: `tone-${tone}` }, text)));
}

export function plot(curve, marks, box) {
  const { text, faint, line, act, ok, critical, warning, info } = Object.fromEntries(["text", "faint", "line", "act", "ok", "critical", "warning", "info"].map((name) => [name, colour(name)]));
  const tones = { act, ok, critical, warning };
  const axis = { stroke: faint, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  const flat = (value) => curve.times.map(() => value);
  const banded = curve.low !== null && curve.high !== null;
  const options = {
    width: box.clientWidth || 600,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { points: { size: 7 }, drag: { x: true, y: false }, sync: { key: "charts" } },
    axes: [{ ...axis, size: 32, space: 80, values: (_, splits, __, ___, step) => splits.map((one) => clock(one * 1000, step < 1 ? 1 : 0)) }, { ...axis, size: 84, incrs: curve.unit.startsWith("By") ? DOUBLED : undefined, values: (_, splits) => amounts(splits, curve.unit) }],
    series: [
      {},
      { stroke: info, width: 1.6, points: { show: curve.times.length < 120, size: 4, fill: info }, spanGaps: false },
      ...(banded ? [{ stroke: ok, width: 1, dash: [3, 3], points: { show: false } }, { stroke: ok, width: 1, dash: [3, 3], points: { show: false } }] : []),
    ],
    bands: banded ? [{ series: [3, 2], fill: ok.replace("rgb(", "rgba(").replace(")", ", 0.12)") }] : [],
    hooks: { draw: [(drawn) => drawMarks(drawn, marks, tones)], setCursor: [(drawn) => tell(drawn, curve, box)] },
  };
  const data = [curve.times.map((one) => one / 1000), curve.values, ...(banded ? [flat(curve.low), flat(curve.high)] : [])];
  const made = new uPlot(options, data, box);
  made.root.setAttribute("role", "img");
  made.root.setAttribute("aria-label", `Chart of ${curve.label}`);
  made.root.style.color = text;
  return made;
}

function drawMarks({ ctx, bbox, valToPos, scales }, marks, tones) {
  ctx.save();
  ctx.lineWidth = 2 * devicePixelRatio;
  for (const { time, title: [, tone] } of marks) {
    const at = time / 1000;
    if (at < scales.x.min || at > scales.x.max) continue;
    const x = Math.round(valToPos(at, "x", true));
    ctx.strokeStyle = tones[tone];
    ctx.setLineDash(tone === "act" ? [4 * devicePixelRatio, 3 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function tell({ cursor }, curve, box) {
  const place = cursor.idx;
  box.title = place === null || place === undefined ? "" : `${clock(curve.times[place])} UTC: ${amount(curve.values[place], curve.unit)}`;
}
