// The stream of records as they come. It is read by hand, for the browser's own reader cannot send a header.

import { headers } from "./api.js";

const SHORTEST_MS = 500;
const LONGEST_MS = 10_000;
const SILENT_MS = 40_000;

/**
 * Follow the stream until `signal` is aborted, and begin anew whenever it breaks. `told` gets each record,
 * `anew` is called when all has to be read again, `state` with "live" or "lost".
 */
export async function follow({ told, anew, state, refused, signal }) {
  let pause = SHORTEST_MS;
  while (!signal.aborted) {
    try {
      await stream({ told, anew: () => { pause = SHORTEST_MS; state("live"); anew(); }, refused, signal });
    } catch {
      // However it broke, it is begun anew.
    }
    if (signal.aborted) return;
    state("lost");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, LONGEST_MS);
  }
}

async function stream({ told, anew, refused, signal }) {
  const silence = new AbortController();
  const answer = await fetch("/api/events", { headers: headers(), signal: AbortSignal.any([signal, silence.signal]) });
  if (answer.status === 401) refused();
  if (!answer.ok) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const patience = setTimeout(() => silence.abort(), SILENT_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(patience));
    if (done) return;
    held += value;
    const events = held.split("\n\n");
    held = events.pop();
    for (const one of events) hand(one, told, anew);
  }
}

function hand(text, told, anew) {
  const facts = Object.fromEntries(text.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
  if (facts.event === "record") told(JSON.parse(facts.data));
  else if (facts.event) anew();
}
