// The grid of hosts and services. A thousand hosts with ten services each are 10,000 cells: only what differs is changed.

import { el } from "./dom.js";
import { plural, span } from "./words.js";

const SILENT_MS = 30_000;
const AT_ONCE = 100;
const DOING = { asks: "asks", mending: "being mended", held: "held" };

/** Return the grid: its `element`, and `update` with what the API answers. */
export function fleet() {
  const rows = new Map();
  let adding;
  const list = el("div", { class: "fleet", role: "list", tabindex: "0", "aria-label": "Hosts and services" });
  const count = el("span", { class: "faint" });
  const words = el("input", { type: "search", placeholder: "host or service", "aria-label": "Filter hosts and services", oninput: filter });
  const sick = el("input", { type: "checkbox", onchange: filter });
  const element = el("section", { class: "panel" }, el("h2", {}, "Fleet", count),
    el("div", { class: "filter" }, words, el("label", {}, sick, "only what is not well")), list);

  function filter() {
    const wanted = words.value.toLowerCase();
    for (const { row, host } of rows.values()) {
      const names = [host.name, ...(host.services ?? []).map((one) => one.name)];
      const found = !wanted || names.some((one) => one.toLowerCase().includes(wanted));
      row.hidden = !found || (sick.checked && !isSick(host));
    }
  }

  function update({ hosts = [], now }) {
    const there = new Set(hosts.map((one) => one.name));
    for (const [name, { row }] of rows) {
      if (there.has(name)) continue;
      row.remove();
      rows.delete(name);
    }
    const fresh = hosts.filter((one) => !rows.has(one.name));
    for (const host of hosts) if (rows.has(host.name)) put(host, now);
    add(fresh, now);
    const services = hosts.reduce((sum, host) => sum + (host.services?.length ?? 0), 0);
    count.textContent = `${plural(hosts.length, "host")}, ${plural(services, "service")}`;
  }

  /** Add some rows, and the others a moment later: what is there can be used before the last is. */
  function add(fresh, now) {
    clearTimeout(adding);
    fresh.slice(0, AT_ONCE).forEach((one) => put(one, now));
    filter();
    if (fresh.length > AT_ONCE) adding = setTimeout(() => add(fresh.slice(AT_ONCE), now));
  }

  function put(host, now) {
    const text = JSON.stringify({ ...host, heard_at: hearing(host, now) });
    const kept = rows.get(host.name);
    if (kept?.text === text) return;
    const row = hostRow(host, now);
    if (kept) kept.row.replaceWith(row);
    else list.append(row);
    rows.set(host.name, { text, row, host });
  }

  return { element, update };
}

const WELL = [undefined, "unknown"];
const isSick = (host) => [host, ...(host.services ?? [])].some((one) => !WELL.includes(one.state));

function hearing(host, now) {
  if (host.left) return "left";
  if (!host.heard_at) return "not heard of since the page began";
  return now - host.heard_at > SILENT_MS ? "silent" : "";
}

function hostRow(host, now) {
  const heard = hearing(host, now);
  const state = host.state ?? "ok";
  const said = heard === "silent" ? `heard ${span(now - host.heard_at)} ago` : heard;
  const name = [el("span", { class: `dot ${heard ? "unheard" : ""} ${state}` }), el("b", { title: host.name }, host.name), said && el("span", { class: "faint" }, said)];
  const label = `${host.name}: ${state}${said ? `, ${said}` : ""}`;
  return el("div", { class: "host", role: "listitem" },
    host.fault ? el("a", { class: "host-name", href: `#/incident/${host.fault}`, title: label }, name) : el("span", { class: "host-name", title: label }, name),
    el("span", { class: "cells" }, (host.services ?? []).map(cell)));
}

function cell(one) {
  const state = one.state ?? "ok";
  const what = [one.state, DOING[one.doing]].filter(Boolean).join(", ");
  const text = what ? `${one.name}: ${what}` : one.name;
  return one.fault
    ? el("a", { class: `cell ${state}`, href: `#/incident/${one.fault}`, "data-key": `cell ${one.fault}` }, text)
    : el("span", { class: `cell ${state}`, title: `${one.name}: ${state}` }, text);
}
