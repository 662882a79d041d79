/* The widgets of a page: one for each script that names a token, and those that the page makes itself. With what each was made of. */
const widgets = new Map();

/* Makes a widget. Only its token is needed; one that is there already, with the same token in the same place, is not made again. */
function create({ token, mode = "floating", target, gateway = home, ...options } = {}) {
  if (!token) throw new TypeError("Patchbay: a widget needs a token, such as emb_demo.");
  if (!gateway) throw new TypeError("Patchbay: a widget needs the gateway's address, such as https://voice.example.org/.");
  if (!["floating", "inline", "headless"].includes(mode)) throw new TypeError(`Patchbay: "${mode}" is no mode; there are floating, inline and headless.`);
  const base = new URL("api/v1/", gateway.replace(/\/*$/, "/")).href;
  const place = placeOf(mode, target);
  if (place === undefined) throw new TypeError(`Patchbay: an inline widget needs a target, and the page has no ${target ?? "data-target"}.`);
  for (const [widget, made] of widgets) {
    if (made.token === token && made.base === base && made.mode === mode && made.place === place) return widget;
  }
  const made = { ...options, token, mode, base, place };
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

/* What a script's attributes say, as `create` takes it. */
function optionsOf({ token, mode, target, gateway, theme, position, size, buttonText, buttonColor, autoStart, transcript, context }) {
  const isOn = (text) => text === undefined ? undefined : !["false", "off", "no"].includes(text);
  const options = { token, mode, target, gateway, theme, position, size, buttonText, buttonColor, autoStart: isOn(autoStart), transcript: isOn(transcript) };
  if (context) {
    try { options.context = JSON.parse(context); } catch { console.error("Patchbay: data-context is no JSON, and was left out."); }
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
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

const script = document.currentScript;
const home = script?.src ? new URL("..", script.src).href : null;
// Of several copies on a page the first serves all; something else of that name stays what it is.
window.Patchbay ??= api;
const makeHere = typeof window.Patchbay.create === "function" ? window.Patchbay.create : create;
addEventListener("pagehide", () => { for (const widget of widgets.keys()) widget.stop(); });

if (script?.dataset.token) {
  const options = { gateway: home, ...optionsOf(script.dataset) };
  const begin = (isLast) => {
    try {
      if (isLast || placeOf(options.mode, options.target) !== undefined) return makeHere(options);
      addEventListener("DOMContentLoaded", () => begin(true));
    } catch (error) {
      console.error(error.message);
    }
  };
  begin(document.readyState !== "loading");
}
