// Times, spans and amounts as people say them. All times are UTC, as on the command line.

import { el } from "./dom.js";

let ahead = 0;

/** Take note of the server's clock, by which everything is told. */
export function setClock(serverNow) {
  ahead = serverNow - Date.now();
}

export const now = () => Date.now() + ahead;

const stamp = (ms) => {
  const moment = new Date(ms);
  return Number.isNaN(moment.getTime()) ? null : moment.toISOString();
};

/** Return a time of day with `digits` of the seconds. */
export const clock = (ms, digits = 3) => stamp(ms)?.slice(11, digits ? 20 + digits : 19) ?? "beyond the calendar";

/** Return a date and time of day. */
export const date = (ms) => stamp(ms)?.slice(0, 19).replace("T", " ") ?? "beyond the calendar";

const SPANS = [[1, "ms"], [1000, "s"], [60_000, "min"], [3_600_000, "h"], [86_400_000, "d"]];

/** Return a length of time; with `digits`, as many of them. */
export function span(ms, digits = 0) {
  const whole = Math.max(0, ms);
  if (digits) {
    const [size, name] = SPANS.findLast(([one]) => whole >= one) ?? SPANS[0];
    return `${Number((whole / size).toPrecision(digits))} ${name}`;
  }
  if (whole < 1000) return `${Math.round(whole)} ms`;
  if (whole < 60_000) return `${Number((whole / 1000).toPrecision(whole < 10_000 ? 2 : 3))} s`;
  if (whole < 3_600_000) return `${Math.floor(whole / 60_000)} min`;
  if (whole < 172_800_000) return `${Number((whole / 3_600_000).toPrecision(2))} h`;
  return `${Math.floor(whole / 86_400_000)} d`;
}

/** Return an element that says how long ago `ms` was, and goes on saying so. */
export function ago(ms, before = "", after = " ago") {
  const made = el("time", { datetime: stamp(ms), title: `${date(ms)} UTC` });
  Object.assign(made.dataset, { at: ms, before, after });
  tell(made);
  return made;
}

function tell(one) {
  const text = `${one.dataset.before}${span(now() - Number(one.dataset.at))}${one.dataset.after}`;
  if (one.textContent !== text) one.textContent = text;
}

setInterval(() => document.querySelectorAll("time[data-at]").forEach(tell), 1000);

const STEPS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const BYTES = [[2 ** 40, "Ti"], [2 ** 30, "Gi"], [2 ** 20, "Mi"], [2 ** 10, "Ki"]];

/** Return a value with its unit (UCUM: `By` bytes, `1` none, `{thread}` things, `By/s` a rate). */
export function amount(value, unit = "1", digits = 0) {
  if (value === null || value === undefined) return "?";
  if (unit === "ms" || unit === "s") return span(unit === "s" ? value * 1000 : value, digits);
  const [what, per] = unit.split("/");
  const rate = per ? `/${per}` : "";
  const [size, prefix] = (what === "By" ? BYTES : STEPS).find(([one]) => Math.abs(value) >= one) ?? [1, ""];
  const number = String(Number((value / size).toPrecision(digits || 4)));
  const name = what === "By" ? "B" : what === "1" ? "" : what.replace(/[{}]/g, "");
  return `${number}${prefix || name || rate ? " " : ""}${prefix}${name}${rate}`.trim();
}

/** Return amounts with as few digits, four or more, as make all of them differ. */
export function amounts(values, unit) {
  const wanted = new Set(values).size;
  const tried = (digits) => {
    const found = values.map((one) => amount(one, unit, digits));
    return digits < 12 && new Set(found).size < wanted ? tried(digits + 1) : found;
  };
  return tried(4);
}

/** Return a range of values, either end of which may be open; empty when both are. */
export function range(low, high, unit) {
  if (low === null) return high === null ? "" : `at most ${amount(high, unit)}`;
  return high === null ? `at least ${amount(low, unit)}` : `${amount(low, unit)} to ${amount(high, unit)}`;
}

/** Return which of many it is. */
export const ordinal = (count) => `${count}${(Math.floor(count / 10) % 10 !== 1 && { 1: "st", 2: "nd", 3: "rd" }[count % 10]) || "th"}`;

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
