// Calls of the API.

import { session } from "./session.js";
import { setClock } from "./words.js";

/** A call that was refused; `status` 0: the server does not answer. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const headers = () => ({ Authorization: `Bearer ${session()?.session ?? ""}` });

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, { ...options, headers: { ...headers(), ...options.headers } });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (answer.ok) {
    const facts = await answer.json();
    if (typeof facts.now === "number") setClock(facts.now);
    return facts;
  }
  const told = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, typeof told.detail === "string" ? told.detail : `The server says ${answer.status}.`);
}

/** Return an answer; `facts` are the query, without those that are null. */
export function get(path, facts = {}, options = {}) {
  const given = Object.entries(facts).filter(([, value]) => value !== null && value !== "");
  return call(given.length ? `${path}?${new URLSearchParams(given)}` : path, options);
}

/** Send `body` and return the answer. */
export const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
