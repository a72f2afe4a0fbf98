// What people order: a dialog that says what will follow and asks why, and the buttons that open it.

import { post } from "./api.js";
import { el } from "./dom.js";
import { may } from "./session.js";

const LASTING = { "10 min": 600_000, "1 h": 3_600_000, "4 h": 14_400_000, "1 d": 86_400_000, "7 d": 604_800_000 };

/** Return a button that asks by a dialog and then gives the order, about each of `subjects`; nothing for those who may not. */
export function button(text, facts, { title, follows = "", tone = "", verdict = false, lasting = false, role = "operate", subjects = [facts.subject] }) {
  if (!may(role)) return null;
  const open = () => ask({ text, facts, subjects, title, follows, tone, verdict, lasting });
  return el("button", { type: "button", class: tone, "data-key": `${facts.kind} ${subjects.join(" ")}`, onclick: open }, text);
}

function ask({ text, facts, subjects, title, follows, tone, verdict, lasting }) {
  const fields = {
    verdict: verdict && select("Was it one?", { "yes, true": "true", "no, false": "false", "true, but useless to know": "useless" }),
    lasts_ms: lasting && select("For how long?", LASTING, "1 h"),
    text: facts.active === false ? null : labelled("Why? Kept in the journal.", el("input", { type: "text", maxlength: 2000, autocomplete: "off" })),
  };
  const [waiting, recorded] = [[...subjects], []];
  const said = el("p", { class: "banner critical", role: "alert", hidden: true });
  const sure = el("button", { class: tone || "yes" }, text);
  const dialog = el("dialog", { "aria-label": title });

  async function submit(event) {
    event.preventDefault();
    sure.disabled = true;
    const given = Object.entries(fields).filter(([, field]) => field).map(([name, { input }]) => [name, name === "lasts_ms" ? Number(input.value) : input.value]);
    try {
      while (waiting.length) {
        recorded.push(await post("orders", { ...facts, subject: waiting[0], ...Object.fromEntries(given) }));
        waiting.shift(); // what is recorded is not given again when the next one fails
      }
      dialog.close();
      const doubts = [...new Set(recorded.map(({ doubt }) => doubt).filter(Boolean))].join("; ");
      const more = recorded.length > 1 ? `, and ${recorded.length - 1} more` : "";
      tell(`Recorded: ${recorded[0].text}${more}${doubts && `. But ${doubts}.`}`, doubts ? "warning" : "info");
    } catch (error) {
      said.textContent = error.message;
      said.hidden = false;
      sure.disabled = false;
    }
  }

  dialog.append(el("form", { onsubmit: submit }, el("h2", {}, title), follows && el("p", { class: "faint" }, follows),
    Object.values(fields).filter(Boolean).map(({ label }) => label), said,
    el("div", { class: "buttons" }, sure, el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  (fields.text?.input ?? sure).focus();
}

function labelled(text, input) {
  return { input, label: el("label", { class: "field" }, text, input) };
}

function select(text, choices, chosen) {
  return labelled(text, el("select", {}, Object.entries(choices).map(([name, value]) => el("option", { value, selected: name === chosen }, name))));
}

/** Say something at the foot of the page, for some seconds. */
function tell(text, tone) {
  const made = el("p", { class: `banner toast ${tone}`, role: "status" }, text);
  document.body.append(made);
  setTimeout(() => made.remove(), 8000);
}

/** Return the buttons that answer a question; what asks for as long as its fault is open is granted, or let be. */
export const answers = ({ subject: id, action, target, left_ms: left }) => [
  button(left === null ? "Try once more" : "Approve", { kind: "approve", subject: id }, { title: `Approve: ${action} ${target}`, follows: "It is begun at once, if no guard that people cannot overrule objects.", tone: "yes" }),
  left !== null && button("Deny", { kind: "deny", subject: id }, { title: `Deny: ${action} ${target}`, follows: "It is not done, and this question is over.", tone: "no" }),
];

/** Return the buttons for an incident, by its row and faults. */
export function about(row, faults) {
  const held = faults.filter((one) => one.open && one.hold && !one.question);
  const open = faults.filter((one) => one.open);
  const [unseen, seen] = [open.filter((one) => !one.acknowledged), open.filter((one) => one.acknowledged)].map((found) => found.map((one) => one.id));
  const what = `${row.target} ${row.kind}`;
  return el("div", { class: "buttons" },
    faults.filter((one) => one.question).map((one) => answers(one.question)),
    held.slice(0, 1).map((one) => button("Try all the same", { kind: "approve", subject: one.id }, { title: `Try once more: ${one.target} ${one.kind}`, follows: `Guard ${one.hold.guard} holds it: ${one.hold.reason}.` })),
    unseen.length > 0 && button("I look at it", { kind: "acknowledge" }, { subjects: unseen, title: `Say that you look at ${what}`, follows: "Others see it, and it is not told again and again. Nothing else follows." }),
    seen.length > 0 && button("I do not look at it", { kind: "acknowledge", active: false }, { subjects: seen, title: `Say that nobody looks at ${what}`, follows: "Others see it, and it is told again to who was to hear of it." }),
    button("Label", { kind: "label", subject: row.lead }, { title: `Label ${what}`, follows: "Whether it was a fault; reports count what was said last.", verdict: true }),
    button("Note", { kind: "note", subject: row.lead }, { title: `Note about ${what}` }),
    row.open && button("Maintenance", { kind: "maintenance", subject: row.target }, { title: `Maintenance of ${row.target}`, follows: "Mendline keeps its hands off it meanwhile.", lasting: true }),
    row.open && button("Silence", { kind: "silence", subject: row.target }, { title: `Silence ${row.target}`, follows: "Nothing is done about it meanwhile; what is seen is told all the same.", lasting: true }));
}

/** Return the button that takes back an order that stands. */
export const takeBack = ({ kind, subject }) =>
  button("End", { kind, subject, active: false }, { title: `End ${kind} of ${subject}` });

/** Return the button that stops everything, and the one that lifts that. */
export const stop = () => button("Stop everything", { kind: "stop" }, { title: "Stop everything", follows: "No host begins any action until this is lifted.", tone: "no", role: "administer" });
export const lift = () => button("Lift", { kind: "stop", active: false }, { title: "Let actions go on", role: "administer" });
