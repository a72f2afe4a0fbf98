// What a person is asked: what a yes sets off, what speaks against it, and how it went before.

import { el } from "./dom.js";
import { plural, span } from "./words.js";

/** Return how an action went before, in words. */
export function past({ tries, mended, back, median_ms: half }) {
  if (!tries) return "never tried";
  return `mended ${mended} of ${plural(tries, "time")}${back ? ` (back soon after ${back})` : ""}${half === null ? "" : `, half within ${span(half)}`}`;
}

/** Return the lines of a question. */
export function lines(asked) {
  const left = asked.left_ms === null ? "" : ` · may be answered for ${span(asked.left_ms)} more`;
  return [
    el("p", { class: "faint" }, `policy ${asked.policy}, try ${asked.attempt} of ${Math.max(asked.attempts, asked.attempt)}${asked.owner ? `, ${asked.owner} answers for it` : ""}${left}`),
    el("p", { class: "faint" }, `before: ${past(asked.here)} here, ${past(asked.elsewhere)} on other hosts (7 days)`),
    asked.against.map((one) => el("p", {}, `Guard ${one.guard}: ${one.reason}${one.wait_ms === null ? "" : `, for ${span(one.wait_ms)} more`} (${one.overruled ? "a yes counts more" : "a yes changes nothing"})`)),
    !asked.against.length && el("p", { class: "faint" }, "No guard has anything against it."),
  ];
}
