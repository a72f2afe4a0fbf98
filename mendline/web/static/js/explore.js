// Any series of any host, live or past, with the host's faults marked; several charts under one another share the cursor.

import { get } from "./api.js";
import { plot, title } from "./charts.js";
import { el, panel } from "./dom.js";
import { now } from "./words.js";

const SPANS = { "15 min": 900_000, "1 h": 3_600_000, "6 h": 21_600_000, "1 d": 86_400_000, "7 d": 604_800_000 };
const SHORTEST_MS = 900_000;
const MOST = 8;

/** Show the charts that the query names: `s` a host and the label of a series, `span` how far back in ms. */
export function explore(content, { query }) {
  const host = el("input", { list: "hosts", placeholder: "host", "aria-label": "Host", onchange: listSeries });
  const label = el("input", { list: "series", placeholder: "series", "aria-label": "Series", class: "wide" });
  const span = el("select", { "aria-label": "Span", onchange: changed }, Object.entries(SPANS).map(([name, ms]) => el("option", { value: ms }, name)));
  const hosts = el("datalist", { id: "hosts" });
  const series = el("datalist", { id: "series" });
  const said = el("p", { class: "faint", role: "status" });
  const charts = el("div", { class: "stack" });
  const shown = new Map(query.getAll("s").slice(0, MOST).map((one) => [one, null]));
  let drawn = [];
  span.value = SPANS[Object.keys(SPANS).find((name) => String(SPANS[name]) === query.get("span"))] ?? SHORTEST_MS;

  content.append(panel("Explore", el("form", { class: "search", onsubmit: add }, host, label, span, el("button", {}, "Add")), hosts, series, said), charts);
  const sizes = new ResizeObserver(() => drawn.forEach(({ plot: one, box }) => box.clientWidth && one.setSize({ width: box.clientWidth, height: 170 })));

  async function listSeries() {
    const found = await get("series", { source: host.value });
    series.replaceChildren(...found.map((one) => el("option", { value: one.label })));
    said.textContent = found.length ? `${found.length} series of ${host.value}` : `${host.value} measured nothing lately.`;
  }

  function add(event) {
    event.preventDefault();
    const wanted = host.value && label.value ? JSON.stringify([host.value, label.value]) : null;
    if (wanted && shown.size < MOST) shown.set(wanted, null);
    if (shown.size >= MOST) said.textContent = `${MOST} charts at most.`;
    label.value = "";
    changed();
  }

  function changed() {
    const facts = new URLSearchParams([["span", span.value], ...[...shown.keys()].map((one) => ["s", one])]);
    history.replaceState(null, "", `#/explore?${facts}`);
    return update();
  }

  async function update() {
    if (!hosts.children.length) hosts.replaceChildren(...(await get("fleet")).hosts.map((one) => el("option", { value: one.name })));
    const end = Math.ceil(now());
    const found = await Promise.all([...shown.keys()].map((one) => look(one, end - Number(span.value), end)));
    draw(found);
  }

  async function look(key, begin, end) {
    const [source, name] = JSON.parse(key);
    return { key, name, source, ...(await get("explore", { source, label: name, begin, end })) };
  }

  function draw(found) {
    close();
    const made = found.map(({ key, name, source, chart, faults }) => {
      const box = el("div", {});
      const curve = chart.curves[0] && { ...chart.curves[0], times: chart.times, source };
      const remove = el("button", { type: "button", class: "quiet", "aria-label": `Remove ${name} of ${source}`, onclick: () => { shown.delete(key); changed(); } }, "✕");
      const place = el("section", { class: "panel" }, el("div", { class: "removable" }, curve ? title(curve) : el("p", {}, el("b", {}, name), ` ${source}: nothing was measured in this time.`), remove), box,
        el("div", { class: "buttons" }, faults.map((one) => el("a", { href: `#/incident/${one.id}`, class: `chip ${one.severity}` }, `${one.target} ${one.kind}`))), chart.cut && el("p", { class: "faint" }, "There was more than could be read; the chart ends early."));
      return { box, curve, place, marks: faults.flatMap(marks) };
    });
    charts.replaceChildren(...made.map(({ place }) => place));
    drawn = made.filter(({ curve }) => curve).map(({ box, curve, marks: at }) => ({ box, plot: plot(curve, at, box) }));
    drawn.forEach(({ box }) => sizes.observe(box));
  }

  function close() {
    sizes.disconnect();
    drawn.forEach(({ plot: one }) => one.destroy());
    drawn = [];
  }

  return { update, close, themed: update, pulse: true, still: true };
}

const marks = ({ opened_at: opened, closed_at: closed, severity }) => [
  { time: opened, title: ["Fault", severity === "critical" ? "critical" : "warning"] },
  ...(closed === null ? [] : [{ time: closed, title: ["Fault gone", "ok"] }]),
];
