// What is wrong, what waits for an answer, what is being mended, how the fleet is, and how much of it is known.

import { get } from "./api.js";
import { chip, el, panel, show } from "./dom.js";
import { fleet } from "./fleet.js";
import { answers, lift, stop, takeBack } from "./orders.js";
import { incidentRow } from "./rows.js";
import { lines } from "./questions.js";
import { ago, clock, plural, span } from "./words.js";

const FRESH_MS = 15_000;

/** Show the overview in `content`. */
export function overview(content) {
  const places = Object.fromEntries(["banners", "headline", "asking", "working", "open", "pipeline", "blind", "closed"].map((name) => [name, el("div", {})]));
  const hosts = fleet();
  places.banners.className = "stack";
  places.headline.setAttribute("aria-live", "polite");
  content.append(
    places.headline, places.banners, places.asking, places.working,
    el("div", { class: "columns" }, el("div", { class: "stack" }, places.open, hosts.element), el("div", { class: "stack" }, places.pipeline, places.blind, places.closed)),
  );

  let begun = false;

  async function update(after) {
    const early = begun ? null : get("fleet", { after }); // later it must not keep waiting what is wrong
    early?.catch(() => {}); // whatever is wrong with it is wrong with the overview too, which is awaited first
    begun = true;
    const facts = await get("overview", { after });
    show(places.banners, [facts.stopped, facts.trouble, facts.orders.map(steady)], () => banners(facts));
    show(places.headline, headlineFacts(facts), headline);
    show(places.asking, facts.asking, asking);
    show(places.working, facts.working, working);
    show(places.open, [facts.open, facts.open_count], () => open(facts));
    show(places.closed, facts.closed, closed);
    show(places.pipeline, [facts.pipeline, Math.floor(facts.now / 1000)], () => pipeline(facts));
    show(places.blind, facts.blind, blind);
    for (const one of [places.banners, places.asking, places.working]) one.hidden = !one.hasChildNodes();
    hosts.update(await (early ?? get("fleet", { after })));
  }

  return { update, pulse: true };
}

const steady = (order) => [order.kind, order.subject, order.by, order.text];

function banners({ stopped, trouble, orders }) {
  const left = (order) => (order.left_ms === null ? "" : ` for ${span(order.left_ms)} more`);
  return [
    stopped && el("p", { class: "banner critical" }, `${stopped.by} stopped everything: nothing is begun until that is lifted. ${stopped.text}`, lift()),
    trouble && el("p", { class: "banner warning" }, `What is told here is not the newest: ${trouble}`),
    ...orders.map((one) => el("p", { class: "banner info" }, `${one.kind} of ${one.subject}${left(one)}, by ${one.by}${one.text ? `: ${one.text}` : ""}`, takeBack(one))),
  ];
}

function headlineFacts({ open, open_count: count, asking: asked, working: worked, trouble, now: at, read_to: readTo }) {
  const old = trouble || at - readTo > FRESH_MS;
  return { worst: open[0]?.severity ?? (old ? "old" : ""), count, asked: asked.length, worked: worked.length, old: old && readTo, known: readTo > 0 };
}

/** Say no more than is known: of what is not the newest, as of when it is. */
function headline({ worst, count, asked, worked, old, known }) {
  if (!known) {
    return el("div", { class: "headline" }, el("h1", {}, "Nothing is known yet"), el("p", { class: "faint" }, "Nothing was read from the journal so far."));
  }
  const said = count ? plural(count, "open incident") : old ? "Nothing was wrong" : "Nothing is wrong";
  const more = [worked && `${worked} being mended`, asked && `${plural(asked, "question waits", "questions wait")} for an answer`].filter(Boolean);
  return el("div", { class: "headline" },
    el("h1", {}, el("span", { class: `state ${worst}` }, old ? `${said} as of ${clock(old, 0)} UTC` : said)),
    el("p", { class: "faint" }, old ? ["What has happened since is not known: that was ", ago(old)] : count ? more.join(" · ") : "No fault is open."),
  );
}

function asking(tries) {
  if (!tries.length) return null;
  return panel("Waits for an answer", el("div", { class: "cards" }, tries.map(question)));
}

function working(tries) {
  if (!tries.length) return null;
  return panel("Being mended now", el("div", { class: "cards" }, tries.map(card)));
}

function question({ fault, time, reason, question: asked }) {
  return el("div", { class: "card" },
    el("h3", {}, el("a", { href: `#/incident/${fault}`, "data-key": `card ${asked.subject}` }, `${asked.action} ${asked.target}`)),
    el("p", {}, reason), el("p", { class: "faint" }, ago(time, "open for ", "")), lines(asked),
    el("div", { class: "buttons" }, answers(asked)));
}

function card(one) {
  return el("div", { class: "card" },
    el("h3", {}, el("a", { href: `#/incident/${one.fault}`, "data-key": `card ${one.id}` }, `${one.action} ${one.target}`)),
    el("p", {}, one.reason),
    el("p", { class: "faint" }, ago(one.time, "for ", ""), ` · policy ${one.policy}, try ${one.attempt + 1}`),
  );
}

function open({ open: rows, open_count: count }) {
  if (!rows.length) return panel("Open incidents", el("p", { class: "faint" }, "None."));
  const hidden = count - rows.length;
  return panel(["Open incidents", el("span", { class: "faint" }, "the most urgent first")],
    el("ul", { class: "rows" }, rows.map(incidentRow)),
    hidden > 0 && el("p", { class: "faint" }, `… and ${plural(hidden, "less urgent one")}`));
}

function closed(rows) {
  return panel("Over lately", rows.length ? el("ul", { class: "rows" }, rows.map(incidentRow)) : el("p", { class: "faint" }, "No incident has ended in the last hour."));
}

function pipeline({ pipeline: sources, now: at, read_to: readTo, stopped }) {
  const quiet = readTo && at - readTo > FRESH_MS;
  return panel(["Pipeline", readTo ? chip(quiet ? "quiet" : "fresh", quiet ? "warning" : "ok") : chip("nothing read yet", "warning")],
    el("table", {},
      el("thead", {}, el("tr", {}, ["stage", "heard", "lag", "behind"].map((one, place) => el("th", { class: place ? "number" : null }, one)))),
      el("tbody", {}, sources.map((one) => source(one, at)))),
    el("p", { class: "faint" }, readTo ? ["journal read to ", ago(readTo)] : "The journal is empty: nothing of Mendline runs yet, or none of it could write."),
    stopped ? null : el("div", { class: "buttons end" }, stop()));
}

function blind(found) {
  if (!found.length) return null;
  return panel(["Blind spots", el("span", { class: "faint" }, "a fault could be there that nobody is told of")],
    el("ul", { class: "changes" }, found.map((one) => el("li", {}, el("b", {}, one.where), ` ${one.what}`, one.since === null ? null : [", last heard ", ago(one.since)]))));
}

function source(one, at) {
  const late = at - one.heard_at > FRESH_MS;
  return el("tr", {},
    el("td", {}, one.name),
    el("td", { class: "number" }, late ? chip(`${span(at - one.heard_at)} ago`, "warning") : ago(one.heard_at)),
    el("td", { class: "number" }, one.lag ?? "?"),
    el("td", { class: "number" }, one.behind_ms === null ? "?" : span(one.behind_ms)));
}
