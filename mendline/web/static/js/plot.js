// One chart: a series over time, the range that was expected of it, the surprise below, and moments marked.

import { el } from "./dom.js";
import { colour } from "./theme.js";
import { amount, amounts, clock, range } from "./words.js";

export const HEIGHT = 170;
const DOUBLED = Array.from({ length: 60 }, (_, power) => 2 ** power);
const NAMES = ["text", "faint", "line", "act", "ok", "critical", "warning", "info"];
const STRIP = 4; // the surprise takes one part in so many of the height
const MOST_SURPRISE = 30;
const LEAST_SURPRISE = 6;
const SHARED_MS = 30_000;
const WIDEST_MS = 7 * 86_400_000; // as the server has it

/** Return what names a curve, with its newest value and what is expected of it now. */
export function title({ label, source, unit, low, high, values, band }) {
  const newest = values.findLast((one) => one !== null);
  const now = band ? [band.low, band.high].map((one) => one.findLast((value) => value !== null) ?? null) : [low, high];
  const expected = range(...now, unit);
  const strip = band && isKnown(band.surprise) && "surprise below";
  const told = expected ? `expected ${expected}` : "";
  return el("figcaption", { class: "chart-title" }, el("b", {}, label),
    el("span", { class: "faint" }, [`${source} · last ${amount(newest, unit)}`, told, strip, band && `by ${band.detector}`].filter(Boolean).join(" · ")));
}

/** Return a band with a number, or null, for each of `times`: a window says what was expected while it lasted. */
export function along(times, band) {
  let place = 0;
  const places = times.map((time) => {
    while (place < band.times.length && band.times[place] < time) place += 1;
    const end = band.times[place];
    return end !== undefined && (end === time || end - band.width_ms < time) ? place : -1;
  });
  const pick = (values) => places.map((one) => (one < 0 ? null : values[one]));
  return { ...band, low: pick(band.low), high: pick(band.high), surprise: pick(band.surprise) };
}

/** Return a time that many pages ask for alike, a little wider: bands are worked out once for all of them. */
export function shared({ begin, end }) {
  const later = Math.ceil(end / SHARED_MS) * SHARED_MS;
  return { begin: Math.max(Math.floor(begin / SHARED_MS) * SHARED_MS, later - WIDEST_MS), end: later };
}

/** Return the band that tells most of a curve: in its unit, and with bounds if there is one. */
export function telling(bands, curve, times) {
  const found = bands.filter((one) => one.unit === curve.unit).map((one) => along(times, one));
  return found.find((one) => isKnown(one.low) || isKnown(one.high)) ?? found[0];
}

const isKnown = (values) => values.some((one) => one !== null);

/** Draw a curve into `box`; `scale` is the range of its values where charts share one, `chosen` is told of a click. */
export function plot(curve, marks, box, { scale = null, chosen = null } = {}) {
  const colours = Object.fromEntries(NAMES.map((name) => [name, colour(name)]));
  const { low, high, surprise } = expectation(curve);
  const made = new uPlot({
    width: box.clientWidth || 600,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { points: { size: 7 }, drag: { x: true, y: false }, sync: { key: "charts" } },
    scales: { y: scale ? { range: scale } : {}, surprise: { range: (_, __, most) => [0, STRIP * Math.max(LEAST_SURPRISE, most ?? 0)] } },
    axes: axes(curve, colours),
    series: series(curve, colours, { low, high, surprise }),
    bands: low && high ? [{ series: [3, 2], fill: shaded(colours.ok) }] : [],
    hooks: {
      draw: [(drawn) => drawMarks(drawn, marks, colours)],
      setCursor: [(drawn) => tell(drawn, curve, box)],
      ready: [(drawn) => chosen && drawn.over.addEventListener("click", () => choose(drawn, chosen))],
    },
  }, [curve.times.map((one) => one / 1000), curve.values, ...[low, high, surprise].filter(Boolean)], box);
  made.root.setAttribute("role", "img");
  made.root.setAttribute("aria-label", `Chart of ${curve.label}`);
  made.root.style.color = colours.text;
  return made;
}

const shaded = (tone) => tone.replace("rgb(", "rgba(").replace(")", ", 0.12)");

/** Return what was expected at each time, and the surprise, each undefined where there is none. */
function expectation({ times, low, high, band }) {
  if (!band) return low === null || high === null ? {} : { low: times.map(() => low), high: times.map(() => high) };
  const whole = (values) => (isKnown(values) ? values : undefined);
  return { low: whole(band.low), high: whole(band.high), surprise: whole(band.surprise)?.map((one) => (one === null ? null : Math.min(one, MOST_SURPRISE))) };
}

function axes({ unit }, { faint, line }) {
  const axis = { stroke: faint, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  return [
    { ...axis, size: 32, space: 80, values: (_, splits, __, ___, step) => splits.map((one) => clock(one * 1000, step < 1 ? 1 : 0)) },
    { ...axis, size: 84, incrs: unit.startsWith("By") ? DOUBLED : undefined, values: (_, splits) => amounts(splits, unit) },
  ];
}

function series(curve, { info, ok, warning }, { low, high, surprise }) {
  const bound = { stroke: ok, width: 1, dash: [3, 3], points: { show: false } };
  return [
    {},
    { stroke: info, width: 1.6, points: { show: curve.times.length < 120, size: 4, fill: info }, spanGaps: false },
    ...(low ? [bound] : []),
    ...(high ? [bound] : []),
    ...(surprise ? [{ scale: "surprise", stroke: warning, width: 1, fill: shaded(warning), points: { show: false } }] : []),
  ];
}

function choose(drawn, chosen) {
  if (drawn.select.width === 0 && drawn.cursor.left >= 0) chosen(Math.round(drawn.posToVal(drawn.cursor.left, "x") * 1000));
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

function tell({ cursor }, { times, values, unit, band }, box) {
  const place = cursor.idx;
  if (place === null || place === undefined) {
    box.title = "";
    return;
  }
  const expected = band ? range(band.low[place], band.high[place], unit) : "";
  const surprise = band?.surprise[place] ?? null;
  box.title = [`${clock(times[place])} UTC: ${amount(values[place], unit)}`, expected && `expected ${expected}`, surprise === null ? "" : `surprise ${surprise.toFixed(1)}`].filter(Boolean).join(", ");
}
