// Elements from values. Text only ever becomes text: there is no way here to make markup of a string.

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu;

/** Return `text` without what steers terminals or turns the direction of writing around. */
export function clean(text) {
  return String(text).replace(UNPRINTABLE, (one) => (one === "\n" || one === "\t" ? one : "?"));
}

/** Return an element. `facts` are attributes, but for `on…`, which are listeners; null and false leave one out. */
export function el(name, facts = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : clean(value));
  }
  made.append(...parts(children));
  return made;
}

function parts(children) {
  return children
    .flat(Infinity)
    .filter((one) => one !== null && one !== undefined && one !== false && one !== "")
    .map((one) => (one instanceof Node ? one : document.createTextNode(clean(one))));
}

/** Return a chip that says `text`. */
export const chip = (text, tone = "") => el("span", { class: `chip ${tone}` }, text);

/** Return a panel with a title. */
export const panel = (title, ...children) => el("section", { class: "panel" }, el("h2", {}, title), ...children);

/**
 * Put into `place` what `build` makes of `facts`, unless it shows just these already. What has the focus keeps it, if
 * an element with the same `data-key` is there afterwards.
 */
export function show(place, facts, build) {
  const text = JSON.stringify(facts);
  if (place.shown === text) return;
  place.shown = text;
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...parts([build(facts)]));
  if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
