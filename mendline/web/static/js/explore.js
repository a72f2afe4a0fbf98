// Any series of any host, live or past, with what was expected of it and the host's faults marked; charts share the cursor.

import { get } from "./api.js";
import { changed } from "./changed.js";
import { el, panel } from "./dom.js";
import { HEIGHT, plot, shared, telling, title } from "./plot.js";
import { now, plural } from "./words.js";

const SPANS = { "15 min": 900_000, "1 h": 3_600_000, "6 h": 21_600_000, "1 d": 86_400_000, "7 d": 604_800_000 };
const SHORTEST_MS = 900_000;
const MOST = 8;
const KEEP_MS = 60_000;

/** Show the charts that the query names: `s` a host and the label of a series, `span` how far back in ms from `until`, `at` a moment. */
export function explore(content, { query }) {
  const host = el("input", { list: "hosts", placeholder: "host", "aria-label": "Host", onchange: listSeries });
  const label = el("input", { list: "series", placeholder: "series", "aria-label": "Series", class: "wide" });
  const span = el("select", { "aria-label": "Span", onchange: anew }, Object.entries(SPANS).map(([name, ms]) => el("option", { value: ms }, name)));
  const until = el("input", { type: "datetime-local", step: 1, "aria-label": "Until, UTC", onchange: anew });
  const moment = el("input", { type: "datetime-local", step: 1, "aria-label": "Moment, UTC", required: true });
  const hosts = el("datalist", { id: "hosts" });
  const series = el("datalist", { id: "series" });
  const said = el("p", { class: "faint", role: "status" });
  const charts = el("div", { class: "stack" });
  const around = el("div", {});
  const shown = new Map(query.getAll("s").slice(0, MOST).map((one) => [one, null]));
  const expected = expectations();
  let fleet = [];
  let begun = false;
  let beginning = null;
  let drawn = [];
  let at = Number(query.get("at")) || null;
  if (Number(query.get("until"))) until.value = written(Number(query.get("until")));
  span.value = SPANS[Object.keys(SPANS).find((name) => String(SPANS[name]) === query.get("span"))] ?? SHORTEST_MS;

  content.append(
    panel("Explore",
      el("form", { class: "search", onsubmit: submit }, host, label, el("button", {}, "Add")), hosts, series, said,
      el("div", { class: "search moment" }, el("label", {}, "Show", span, "until"), el("label", {}, until, "UTC"), el("span", { class: "faint" }, "(empty: now, and it goes on)")),
      el("form", { class: "search moment", onsubmit: ask }, el("label", {}, "What changed around", moment, "UTC?"), el("button", {}, "Look"), el("span", { class: "faint" }, "or click into a chart"))),
    around, charts);
  const sizes = new ResizeObserver(() => drawn.forEach(({ plot: one, box }) => box.clientWidth && one.setSize({ width: box.clientWidth, height: HEIGHT })));

  async function listSeries() {
    const found = await get("series", { source: host.value });
    series.replaceChildren(...found.map((one) => el("option", { value: one.label })));
    said.textContent = found.length ? `${found.length} series of ${host.value}` : `${host.value} measured nothing lately.`;
  }

  function submit(event) {
    event.preventDefault();
    if (host.value && label.value) add(host.value, label.value);
    label.value = "";
  }

  function add(source, name) {
    if (shown.size >= MOST) said.textContent = `${MOST} charts at most: remove one first.`;
    else shown.set(JSON.stringify([source, name]), null);
    return anew();
  }

  /** Draw the same series of other hosts as well. */
  function compare(source, name) {
    const service = fleet.find((one) => one.name === source)?.services?.find((one) => name.startsWith(`${one.name} `))?.name;
    const others = fleet.filter((one) => one.name !== source && (!service || one.services?.some((other) => other.name === service)));
    for (const one of others.slice(0, MOST - shown.size)) shown.set(JSON.stringify([one.name, name]), null);
    said.textContent = others.length ? `${plural(others.length, "other host")}, ${MOST} charts at most` : "No other host has it.";
    anew();
  }

  function ask(event) {
    event.preventDefault();
    choose(read(moment));
  }

  function choose(time, source = JSON.parse([...shown.keys()][0] ?? "[]")[0] ?? host.value) {
    at = time;
    moment.value = written(time);
    anew();
    if (source) return changed(around, source, time, add);
    said.textContent = "Of which host? Add a series of it first.";
  }

  function anew() {
    const facts = new URLSearchParams([["span", span.value], ...(until.value ? [["until", read(until)]] : []), ...(at ? [["at", at]] : []), ...[...shown.keys()].map((one) => ["s", one])]);
    history.replaceState(null, "", `#/explore?${facts}`);
    return update();
  }

  /** Show something telling where the address names nothing; tried again until there is something. */
  async function begin() {
    fleet = (await get("fleet")).hosts;
    hosts.replaceChildren(...fleet.map((one) => el("option", { value: one.name })));
    if (!shown.size) {
      for (const { source, label: name } of await get("outstanding")) shown.set(JSON.stringify([source, name]), null);
      said.textContent = shown.size ? "To begin with: what open faults rest on, or what tells most of the first host." : "Nothing is measured yet.";
    }
    begun = shown.size > 0;
    if (begun && at) choose(at);
  }

  async function update() {
    // Two looks at once begin together: the later would else show again what somebody removed meanwhile.
    if (!begun) await (beginning ??= begin().finally(() => (beginning = null)));
    const end = until.value ? read(until) : Math.ceil(now());
    const time = { begin: end - Number(span.value), end };
    const found = await Promise.all([...shown.keys()].map((one) => look(one, time)));
    draw(found);
    const bands = await Promise.all(found.map((one) => expected(one, time)));
    if (bands.some((one, number) => one !== found[number].bands)) draw(found.map((one, number) => ({ ...one, bands: bands[number] })));
  }

  async function look(key, time) {
    const [source, name] = JSON.parse(key);
    return { key, name, source, bands: expected.known(key), ...(await get("explore", { source, label: name, ...time })) };
  }

  function draw(found) {
    close();
    const made = found.filter(({ key }) => shown.has(key)).map(section);
    const scales = scaled(made);
    charts.replaceChildren(...made.map(({ place }) => place));
    drawn = made.filter(({ curve }) => curve).map(({ box, curve, marks: points }) => ({ box, plot: plot(curve, points, box, { scale: scales.get(curve.label), chosen: (time) => choose(time, curve.source) }) }));
    drawn.forEach(({ box }) => sizes.observe(box));
  }

  function section({ key, name, source, chart, faults, bands }) {
    const box = el("div", {});
    const first = chart.curves[0];
    const curve = first && { ...first, times: chart.times, source, band: telling(bands ?? [], first, chart.times) };
    const buttons = el("div", { class: "buttons" },
      fleet.length > 1 && el("button", { type: "button", class: "quiet", "aria-label": `Compare ${name} of all hosts`, onclick: () => compare(source, name) }, "Compare hosts"),
      el("button", { type: "button", class: "quiet", "aria-label": `Remove ${name} of ${source}`, onclick: () => { shown.delete(key); anew(); } }, "✕"));
    const place = el("section", { class: "panel" }, el("div", { class: "removable" }, curve ? title(curve) : el("p", {}, el("b", {}, name), ` ${source}: nothing was measured in this time.`), buttons), box,
      el("div", { class: "buttons" }, faults.map((one) => el("a", { href: `#/incident/${one.id}`, class: `chip ${one.severity}` }, `${one.target} ${one.kind}`))), chart.cut && el("p", { class: "faint" }, "There was more than could be read; the chart ends early."));
    return { box, curve, place, marks: [...faults.flatMap(marks), ...(at ? [{ time: at, title: ["Moment", "act"] }] : [])] };
  }

  function close() {
    sizes.disconnect();
    drawn.forEach(({ plot: one }) => one.destroy());
    drawn = [];
  }

  return { update, close, themed: update, still: true, get pulse() { return !until.value; } };
}

const written = (time) => new Date(time).toISOString().slice(0, 19);
const read = (field) => Date.parse(`${field.value}Z`);

/** Return the range of the values of each series that several charts are of: what is compared has one scale. */
function scaled(made) {
  const groups = Map.groupBy(made.filter(({ curve }) => curve), ({ curve }) => curve.label);
  return new Map([...groups].filter(([, some]) => some.length > 1).map(([label, some]) => {
    const values = some.flatMap(({ curve: { values: own, band } }) => [...own, ...(band ? [...band.low, ...band.high] : [])]).filter((one) => one !== null);
    const [low, high] = values.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
    const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
    return [label, [low - margin, high + margin]];
  }));
}

/** Return what asks for bands and keeps them for a while: they are worked out each time. `known` are those kept. */
function expectations() {
  const kept = new Map();
  const ask = async ({ key, source, name }, { begin, end }) => {
    const last = kept.get(key);
    if (last && last.length === end - begin && Math.abs(end - last.end) < KEEP_MS) return last.bands;
    const { bands } = await get("bands", { source, label: name, ...shared({ begin, end }) }).catch(() => ({ bands: [] }));
    kept.set(key, { end, length: end - begin, bands });
    return bands;
  };
  ask.known = (key) => kept.get(key)?.bands;
  return ask;
}

const marks = ({ opened_at: opened, closed_at: closed, severity }) => [
  { time: opened, title: ["Fault", severity === "critical" ? "critical" : "warning"] },
  ...(closed === null ? [] : [{ time: closed, title: ["Fault gone", "ok"] }]),
];
