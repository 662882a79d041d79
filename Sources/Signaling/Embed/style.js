/* The widget's own style. It stands in a shadow tree as a sheet made by script: no page's style gets in, none gets out, and a page whose
   policy allows no inline style has nothing to allow. Lengths are of the visitor's own size of text, "medium", and not of the page's (rem). */
const css = `
:host { all: initial !important; }
:host([data-patchbay=floating]) {
  position: fixed !important; z-index: 2147483000 !important; width: 0 !important; height: 0 !important;
  inset: auto !important; display: block !important;
}
:host([data-patchbay=inline]) { display: block !important; height: 100% !important; min-height: 12em !important; }
.root {
  --card: #ffffff; --ink: #1d211e; --soft: #59605a; --line: #d9ddd8; --sunk: #eef0ed; --bad: #a6301f; --shadow: 0 10px 32px -8px rgb(20 26 22 / .3), 0 1px 3px rgb(20 26 22 / .14);
  --stop: #b3261e; --good: #1d7a4f; --busy: #8a5a00;
  color: var(--ink); color-scheme: light; font: 400 medium/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, sans-serif;
  -webkit-text-size-adjust: 100%; text-align: start;
}
.root.dark {
  --card: #1b1f1c; --ink: #eceeea; --soft: #a5ada6; --line: #3a413b; --sunk: #2a2f2b; --bad: #ff9f8e; --shadow: 0 12px 36px -8px rgb(0 0 0 / .8), 0 0 0 1px rgb(255 255 255 / .06);
  --stop: #c8372d; --good: #5fc694; --busy: #e3b254; color-scheme: dark;
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
button { font: inherit; color: inherit; cursor: pointer; touch-action: manipulation; -webkit-tap-highlight-color: transparent; }
svg { display: block; flex: none; width: 1.25em; height: 1.25em; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
:focus { outline: none; }
:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; box-shadow: 0 0 0 2px var(--card); }

.pill {
  position: fixed; display: flex; align-items: center; gap: .55em; max-width: calc(100% - 2em);
  min-height: 3em; padding: .5em 1.15em; border: 1px solid transparent; border-radius: 2em;
  background: var(--button); color: var(--button-ink); font-weight: 600; box-shadow: var(--shadow);
}
.pill:focus-visible { box-shadow: 0 0 0 2px var(--card), var(--shadow); }
.small .pill { min-height: 2.5em; } .small .pill > * { font-size: .875em; } .large .pill { min-height: 3.5em; } .large .pill > * { font-size: 1.125em; }
.pill span { display: grid; min-width: 0; }
.pill b { grid-area: 1 / 1; font-weight: inherit; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: center; }
.pill b.other { visibility: hidden; }
.pill i, .said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.said { top: 0; }
/* As a disc that takes no more room than the microphone without one. */
.pill .shut { margin: -.3em; padding: .3em; width: 1.85em; height: 1.85em; border-radius: 50%; background: var(--button-ink); color: var(--button); }
:not(.live.muted) > .pill :is(.shut, i), .live.muted .pill .open { display: none; }
.pill:hover, .main:hover { filter: brightness(.93); }

/* As high as there is room, so that nothing moves when what is said appears; what it leaves empty is the page's. */
.panel { display: flex; flex-direction: column; gap: .6em; }
.floating .panel { position: fixed; width: min(20em, calc(100% - 2em)); pointer-events: none; }
.floating .panel > * { pointer-events: auto; }
.floating.bottom .panel { top: 1em; justify-content: flex-end; } .floating.top .panel { bottom: 1em; }
.floating.bottom :is(.pill, .panel) { bottom: calc(1em + env(safe-area-inset-bottom, 0px) + var(--stack, 0) * 4.25em); }
.floating.top :is(.pill, .panel) { top: calc(1em + env(safe-area-inset-top, 0px) + var(--stack, 0) * 4.25em); }
.floating.right :is(.pill, .panel) { right: calc(1em + env(safe-area-inset-right, 0px)); }
.floating.left :is(.pill, .panel) { left: calc(1em + env(safe-area-inset-left, 0px)); }
.inline { height: 100%; container-type: size; }
.inline .panel { max-width: 34em; height: 100%; margin-inline: auto; }
/* All of the page's room from the start, with what is said in the middle: when that comes, nothing else moves. */
.inline .card { flex: auto; grid-template-rows: minmax(4em, auto) minmax(0, 1fr) auto auto; row-gap: 0; }
.inline :is(.talk, .gauge, .buttons) { margin-top: .6em; }
.inline .talk { grid-area: 2 / 1 / auto / -1; } .inline .gauge { grid-row: 3; } .inline .buttons { grid-row: 4; }

.card, .talk { background: var(--card); border: 1px solid var(--line); border-radius: 1.1em; }
.floating :is(.card, .talk) { box-shadow: var(--shadow); }
/* It grows with what it says, and scrolls that where there is no room to grow. */
.card { position: relative; display: grid; grid-template: minmax(4em, 1fr) auto auto / auto 1fr; gap: .6em .75em; min-height: 12em; padding: .9em; }
.orb {
  position: relative; display: grid; place-items: center; width: 2.75em; height: 2.75em;
  border-radius: 50%; background: var(--button); color: var(--button-ink);
}
.orb svg { width: 1.375em; height: 1.375em; }
.orb::before {
  content: ""; position: absolute; inset: -1px; border-radius: 50%; border: 2px solid var(--button); opacity: calc(var(--down, 0) * .9);
  transform: scale(calc(1 + var(--down, 0) * .28));
}
[data-state=connecting] .orb { animation: breathe 1.4s ease-in-out infinite; }
@keyframes breathe { 50% { opacity: .55; } }
.words { min-height: 0; overflow-y: auto; overflow-wrap: anywhere; }
.words strong { display: block; font-weight: 640; letter-spacing: -.01em; }
.floating .words strong { padding-inline-end: 1.6em; }
.words span { display: block; font-size: .875em; line-height: 1.35; color: var(--soft); }
:is([data-state=failed], [data-state=refused]) .words strong { color: var(--bad); }
[data-state=connected] .words strong { color: var(--good); } [data-state=connecting] .words strong { color: var(--busy); }
.hide { position: absolute; top: .6em; inset-inline-end: .6em; display: grid; place-items: center; width: 2em; height: 2em; padding: 0; border: 1px solid transparent; border-radius: .6em; background: none; color: var(--soft); }
.hide:hover { background: var(--sunk); color: var(--ink); }
.gauge { grid-column: 1 / -1; display: flex; align-items: center; gap: .6em; height: 1.2em; }
.time { font-size: .8125em; color: var(--soft); font-variant-numeric: tabular-nums; }
.time:empty { display: none; }
.meter { flex: 1; height: .5em; border-radius: .25em; background: var(--sunk); border: 1px solid transparent; overflow: hidden; }
.meter i { display: block; height: 100%; border-radius: inherit; background: var(--good); width: calc(var(--up, 0) * 100%); }
.muted .meter i { background: var(--soft); width: 0; }
.buttons { grid-column: 1 / -1; display: flex; gap: .6em; }
.buttons button { display: flex; align-items: center; justify-content: center; gap: .45em; min-height: 2.75em; padding: .4em .9em; border: 1px solid transparent; border-radius: .8em; font-weight: 600; overflow: hidden; }
.buttons button span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.main { flex: 1; background: var(--button); color: var(--button-ink); }
.live .main { background: var(--stop); color: #ffffff; }
.mute, .sound { background: var(--sunk); border-color: var(--line) !important; color: var(--ink); }
.mute[aria-pressed=true] { background: var(--ink); color: var(--card); }
.mute { flex: none; width: 2.75em; padding: 0 !important; }
.mute:disabled { opacity: .45; cursor: default; }
/* Where no call can come of it. They keep their room. */
[data-state=refused] :is(.gauge, .buttons) { visibility: hidden; }
.mute[aria-pressed=true] .open, .mute[aria-pressed=false] .shut { display: none; }

.talk { min-height: 0; padding: .7em .9em; overflow-y: auto; overscroll-behavior: contain; }
.floating .talk { flex: 0 1000 14em; }
@media (max-height: 20em) { .floating .talk { display: none; } }
.inline .talk { display: none; border-radius: .8em; background: var(--sunk); }
@container (min-height: 18em) { .inline .talk { display: block; } }
.talk:focus-visible { outline-offset: -3px; }
.talk ol { list-style: none; margin: 0; padding: 0; display: grid; gap: .5em; font-size: .9375em; }
.talk li { overflow-wrap: anywhere; }
.talk b { display: block; font-size: .8em; font-weight: 600; color: var(--soft); }
.talk p { margin: 0; }
.talk li.partial p { color: var(--soft); font-style: italic; }

.closed .card { position: fixed; width: 1px; height: 1px; min-height: 0; padding: 0; border: 0; overflow: hidden; clip-path: inset(50%); }
.closed .card > :not(.words) { display: none; }
.closed .words { overflow: visible; }
.waiting { visibility: hidden; }
@media (prefers-reduced-motion: reduce) { .orb { animation: none !important; } .orb::before { transform: none; } }
@media (prefers-reduced-motion: no-preference) { .meter i { transition: width .08s linear; } .main, .pill { transition: background-color .2s; } }
@media (forced-colors: active) { .pill .shut { background: ButtonText; color: ButtonFace; } .pill, .buttons button, .meter, .hide { border-color: ButtonText !important; } .meter i { background: Highlight; forced-color-adjust: none; } }
@media print { :host { display: none !important; } }
`;

function styleSheet() {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  return sheet;
}

/* The colours of a button: the wanted one where it is one, made darker until white words on it can be read (WCAG 2.2, 1.4.3: 4.5 to 1),
   or with dark words where it is too light for that. */
function buttonColors(wanted) {
  const written = hexOf(wanted) ?? "#3b82f6";
  let rgb = [1, 3, 5].map((at) => parseInt(written.slice(at, at + 2), 16));
  const onWhite = () => 1.05 / (luminance(rgb) + 0.05);
  const ink = onWhite() < 3 ? "#111111" : "#ffffff";
  while (ink === "#ffffff" && onWhite() < 4.5) rgb = rgb.map((part) => part * 0.97);
  return { color: `rgb(${rgb.map(Math.round).join(" ")})`, ink };
}

/* A colour as #rrggbb; null where it can be seen through, and for what is none by itself, as var(--brand) and inherit. */
function hexOf(color) {
  const pen = document.createElement("canvas").getContext("2d");
  // Which stays what it was where that is no colour.
  const [one, other] = ["#000000", "#ffffff"].map((before) => { pen.fillStyle = before; pen.fillStyle = color; return pen.fillStyle; });
  return one === other && /^#[0-9a-f]{6}$/.test(one) ? one : null;
}

function luminance(rgb) {
  const [red, green, blue] = rgb.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
