// The faults of an incident: the evidence of each, its playbook with the state of each step, and what holds it.

import { chip, el, panel } from "./dom.js";
import { lines } from "./questions.js";
import { ago, amount, plural, range, span } from "./words.js";

const STATES = {
  asking: ["waits for an answer", "act"],
  working: ["being done", "act"],
  mended: ["mended it", "ok"],
  done: ["done", "ok"],
  failed: ["did not help", "critical"],
  denied: ["denied", "warning"],
  shadow: ["only told", ""],
  needless: ["was not needed", ""],
  next: ["next", "info"],
  waiting: ["if that fails", ""],
  skipped: ["not used", ""],
};

/** Return the panel of all faults. */
export const faults = (found) => panel(plural(found.length, "Fault"), found.map(fault));

function fault(one) {
  return el("article", { class: "fault" },
    el("div", { class: "fault-title" },
      el("h3", {}, `${one.target} ${one.kind}`),
      one.open ? chip(one.severity, one.severity) : chip("over", "ok"),
      one.flapping && chip("flaps", "warning"),
      one.again > 0 && chip(`back ${plural(one.again, "time")}`, "warning"),
      el("span", { class: "faint mono" }, one.id.slice(0, 8))),
    el("dl", { class: "evidence" }, Object.entries(evidence(one)).filter(([, text]) => text).map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
    one.hold && el("p", { class: "banner warning" }, `Held by guard ${one.hold.guard}: ${one.hold.reason}`, one.hold.wait_ms ? ` (${span(one.hold.wait_ms)} from when it was said)` : ""),
    one.question && el("div", { class: "card" }, el("h3", {}, `Asks: ${one.question.action} ${one.question.target}`), lines(one.question)),
    playbook(one.playbook));
}

function evidence(one) {
  return {
    why: one.reason || one.evidence,
    seen: one.reason && ![one.reason, one.ended].includes(one.evidence) ? one.evidence : "",
    series: one.series && el("code", {}, one.series),
    [one.open ? "value" : "last value"]: one.value === null ? "" : amount(one.value, one.unit),
    expected: range(one.low, one.high, one.unit),
    surprise: one.surprise === null || !one.open ? "" : surprise(one.surprise),
    "found by": one.detector,
    with: one.why,
    over: one.ended,
    label: one.label && `${one.label.by}: ${one.label.text}`,
    "looked at": one.acknowledged && [one.acknowledged.by, " ", ago(one.acknowledged.time)],
  };
}

/** Return -log10 of a probability in words. */
function surprise(value) {
  const zeros = Math.min(Math.floor(value), 300);
  const told = Number(value.toFixed(1));
  return zeros < 1 ? told : `${told}: once in ${zeros <= 6 ? (10 ** zeros).toLocaleString("en") : `10^${zeros}`} windows of a healthy series`;
}

function playbook(found) {
  if (!found) return el("p", { class: "faint" }, "No policy is about it: it is told, and nothing is done.");
  return el("div", {},
    el("p", { class: "faint" }, `Policy ${found.policy}, mode ${found.mode}${found.owner ? `, ${found.owner} answers for it` : ""}`),
    el("ol", { class: "steps" }, found.steps.map(step)));
}

function step(one) {
  const facts = Object.entries(one.parameters).map(([name, value]) => `${name}=${value}`).join(" ");
  return el("li", {},
    el("b", {}, `${one.number + 1}. ${one.action}`), facts && el("code", {}, facts), chip(...STATES[one.state]),
    one.tries.length > 0 && el("div", { class: "tries" }, one.tries.map(attempt)));
}

function attempt(one) {
  const after = one.after_ms === null ? "" : `, proven after ${span(one.after_ms)}`;
  return el("div", {}, `try ${one.attempt + 1}: ${STATES[one.state][0]}${after}${one.result ? ` · ${one.result}` : ""}`);
}

