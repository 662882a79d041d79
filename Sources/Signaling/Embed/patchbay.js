/* The widgets of a page: one for each script that names a token, and those that the page makes itself. With what each was made of. */
const widgets = new Map();

const optionNames = ["token", "mode", "target", "position", "size", "theme", "buttonText", "buttonColor", "autoStart", "transcript", "context", "gateway"];
/* What an option may be where it is one of few; of several looks the first is the usual one. */
const choices = {
  position: ["bottom-right", "bottom-left", "top-right", "top-left"], size: ["medium", "small", "large"], theme: ["light", "dark", "auto"],
  autoStart: [true, false], transcript: [true, false],
};
/* In bytes, as JSON. The gateway reads 64 KiB, and the token is in it too. */
const longestContext = 60 * 1024;

/* Makes a widget. Only its token is needed; one that is there already, with the same token in the same place, is not made again. */
function create({ token, mode = "floating", target, gateway = home, ...others } = {}) {
  if (!token) throw new TypeError("Patchbay: a widget needs a token, such as emb_demo.");
  if (!gateway) throw new TypeError("Patchbay: a widget needs the gateway's address, such as https://voice.example.org/.");
  if (!["floating", "inline", "headless"].includes(mode)) throw new TypeError(`Patchbay: "${mode}" is no mode; there are floating, inline and headless.`);
  const base = new URL("api/v1/", gateway.replace(/\/*$/, "/")).href;
  const place = placeOf(mode, target);
  if (place === undefined) throw new TypeError(`Patchbay: an inline widget needs a target, and the page has no ${target ?? "data-target"}.`);
  for (const [widget, made] of widgets) {
    if (widget.element?.isConnected === false) widget.remove();
    else if (made.token === token && made.base === base && made.mode === mode && made.place === place) return widget;
  }
  const made = { ...sift(others), token, mode, base, place };
  const widget = new Widget(made);
  widgets.set(widget, made);
  return widget;
}

/* The element that a widget goes into; undefined where it is not there (yet). */
function placeOf(mode, target) {
  switch (mode) {
    case "headless": return null;
    case "inline": return (typeof target === "string" ? document.querySelector(target) : target) ?? undefined;
    default: return document.body ?? undefined;
  }
}

/* Those that are options, as `create` takes them. Of any other the console hears, and it counts as not written: a slip starts no microphone. */
function sift(given, areAttributes = false) {
  const nameOf = (name) => areAttributes ? "data-" + name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase()) : name;
  const known = {};
  for (const [name, value] of Object.entries(given).filter(([, value]) => value !== undefined && value !== null)) {
    const spell = (each) => !areAttributes ? each : name === "transcript" ? (each ? "on" : "off") : String(each);
    const refuse = (takes) => console.warn(`Patchbay: ${nameOf(name)}=${shown(value)} counts as not written; it takes ${takes}.`);
    if (!optionNames.includes(name)) {
      const [nearest] = [...optionNames].sort((one, other) => distance(one, name) - distance(other, name));
      const isNear = distance(nearest, name) < 3;
      const hint = isNear ? `Did you mean ${nameOf(nearest)}?` : `There are ${optionNames.map(nameOf).join(", ")}.`;
      /* Other programs give a script attributes, too. */
      if (isNear || !areAttributes) console.warn(`Patchbay: ${nameOf(name)} is no option. ${hint}`);
    } else if (choices[name]) {
      const possible = choices[name].map(spell);
      if (possible.includes(value)) known[name] = choices[name][possible.indexOf(value)];
      else refuse(possible.join(" or "));
    } else if (name === "context") {
      const context = areAttributes ? parsed(value) : value;
      if (isContext(context)) known[name] = context;
      else refuse(`a JSON object such as {"customer":"Ada"}, of whole characters and of ${longestContext / 1024} KiB at the most`);
    } else if (name === "buttonColor" && !hexOf(value)) refuse("a CSS colour such as #1f6b52, not a transparent one and no var(…)");
    else known[name] = value;
  }
  return known;
}

/* Half of a surrogate pair, as JSON has it: text that was cut in the middle of an emoji, say. */
const halfCharacter = /(?<!\\)(\\\\)*\\ud[89a-f]/;

/* What the gateway takes, but for what nobody writes: it refuses a whole request for anything else. */
function isContext(value) {
  if (kindOf(value) !== "[object Object]") return false;
  try {
    const text = JSON.stringify(value);
    return text.startsWith("{") && !halfCharacter.test(text) && new TextEncoder().encode(text).length <= longestContext;
  } catch {
    return false;  // it holds itself, say
  }
}

const kindOf = (value) => Object.prototype.toString.call(value);

function parsed(text) {
  try { return JSON.parse(text); } catch {}
}

/* A value for the console. */
const shown = (value) => typeof value === "string" ? `"${cut(value, 80)}"` : Object(value) === value ? kindOf(value) : String(value);

/* How many letters one has to change, add or leave out to make the other (Levenshtein). */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const letter of one) {
    const next = [row[0] + 1];
    for (let at = 0; at < other.length; at += 1) next.push(Math.min(row[at] + (letter !== other[at]), row[at + 1] + 1, next[at] + 1));
    row = next;
  }
  return row.at(-1);
}

const first = () => {
  const [widget] = widgets.keys();
  if (!widget) throw new Error("Patchbay: there is no widget on this page yet.");
  return widget;
};

const api = Object.freeze({
  create,
  get widgets() { return [...widgets.keys()]; },
  // Of the first widget, which is the only one on most pages.
  get state() { return first().state; },
  get muted() { return first().muted; },
  get audio() { return first().audio; },
  start: (options) => first().start(options),
  stop: () => first().stop(),
  mute: (isMuted) => first().mute(isMuted),
  on: (name, listener) => first().on(name, listener),
  off: (name, listener) => first().off(name, listener),
});

// By the prototype's own getter: an element of the page's may be called `currentScript`, and hide it.
const script = Object.getOwnPropertyDescriptor(Document.prototype, "currentScript").get.call(document);
const home = script?.src ? new URL("..", script.src).href : null;
// Of several copies on a page the first serves all; something else of that name stays what it is.
window.Patchbay ??= api;
const makeHere = typeof window.Patchbay.create === "function" ? window.Patchbay.create : create;
addEventListener("pagehide", () => { for (const widget of widgets.keys()) widget.stop(); });

const written = sift(script?.dataset ?? {}, true);
if (written.token) {
  const options = { gateway: home, ...written };
  const begin = (isLast) => {
    try {
      if (isLast || placeOf(options.mode, options.target) !== undefined) return makeHere(options);
      addEventListener("DOMContentLoaded", () => begin(true));
    } catch (error) {
      console.error(error.message);
    }
  };
  begin(document.readyState !== "loading");
} else if (script) {
  const complaint = "Patchbay: this script has no data-token, and no widget comes of it; a page that makes its widgets itself calls Patchbay.create().";
  /* Without any option it may be there for a page that makes its widgets itself, and later. */
  const later = () => setTimeout(() => { if (!window.Patchbay.widgets?.length) console.warn(complaint); }, 1000);
  if (Object.keys(written).length) console.error(complaint);
  else if (document.readyState === "complete") later();
  else addEventListener("load", later);
}
