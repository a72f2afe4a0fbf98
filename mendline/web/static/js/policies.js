// The policies in force: what each is about, what it does, and what it was good for.

import { get } from "./api.js";
import { chip, el, panel, show } from "./dom.js";
import { past } from "./questions.js";
import { date, plural } from "./words.js";

const MODES = { auto: ["acts", "ok"], ask: ["asks first", "act"], shadow: ["only tells", ""] };

/** Show the policies in `content`. */
export function policies(content) {
  const place = el("div", { class: "stack" });
  content.append(place);
  return { update: async () => show(place, await get("policies"), all) };
}

function all({ policies: found, uncovered }) {
  return [
    panel("Policies", el("p", { class: "faint" }, "The first that is about a fault says what is done about it."),
      uncovered > 0 && el("p", { class: "banner warning" }, `${plural(uncovered, "open fault falls", "open faults fall")} under no policy: told, and nothing is done.`),
      !found.length && el("p", {}, "No policy is in force: faults are told, and nothing is done about them.")),
    found.map(one),
  ];
}

function one(policy, place) {
  const facts = {
    when: Object.entries(policy.when).map(([name, value]) => `${name} is ${value}`).join(" and ") || "any fault",
    does: el("ol", { class: "play" }, policy.play.map((step) => el("li", {}, step))),
    about: policy.targets_count ? `${plural(policy.targets_count, "target")}: ${policy.targets.join(", ")}${policy.targets_count > policy.targets.length ? " …" : ""}` : "nothing that is heard of",
    record: `${past(policy.past)} (7 days)`,
    now: policy.open ? plural(policy.open, "open fault") : "",
    "would have": policy.shadow ? would(policy) : "",
    owner: policy.owner,
  };
  return el("section", { class: "panel" },
    el("h2", {}, `${place + 1}. ${policy.name}`, chip(...MODES[policy.mode])),
    el("dl", { class: "evidence" }, Object.entries(facts).filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

function would({ shadow, would: newest }) {
  return [`acted ${plural(shadow, "time")} lately`, el("ul", { class: "changes" }, newest.map((one) => el("li", {},
    el("time", { class: "faint" }, `${date(one.time)} UTC`), " ", el("a", { href: `#/incident/${one.fault}` }, `${one.action} ${one.target}`), ` ${one.reason}`)))];
}
