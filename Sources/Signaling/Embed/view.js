/* What people see and touch: a button in a corner that opens a card, or the card alone in a place of the page's. */
class View {
  #widget; #mode; #host = document.createElement("patchbay-widget"); #parts; #words = wordsOf(); #options = { buttonText: "", transcript: true };
  #isOpen; #state = "ready"; #detail = ""; #isMuted = false; #since = 0; #told = 0; #began = 0; #saying; #rows = []; #dark = matchMedia("(prefers-color-scheme: dark)");

  constructor(widget, mode, place) {
    this.#widget = widget;
    this.#mode = mode;
    this.#isOpen = mode === "inline";
    this.#host.dataset.patchbay = mode;
    const shadow = this.#host.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [styleSheet()];
    this.#parts = build();
    shadow.append(this.#parts.root);
    this.#wire();
    this.#host.onGone = () => widget.remove();
    place.append(this.#host);
  }

  remove() {
    this.#dark.onchange = null;
    this.#host.remove();
  }

  get element() { return this.#host; }
  get #focused() { return this.#host.shadowRoot.activeElement; }

  /* How it looks and what it says; until that is known nobody sees it. */
  dress(options, words) {
    const { root, panel, card, talk, gauge } = this.#parts;
    this.#options = options;
    this.#words = words;
    const [vertical, horizontal] = options.position.split("-");
    root.className = ["root", this.#mode, vertical, horizontal, options.size].join(" ");
    const { color, ink } = buttonColors(options.buttonColor);
    for (const [name, value] of [["--button", color], ["--button-ink", ink], ["--stack", options.place]]) root.style.setProperty(name, value);
    const paint = () => root.classList.toggle("dark", options.theme === "dark" || (options.theme === "auto" && this.#dark.matches));
    this.#dark.onchange = paint;
    paint();
    // It is read, and tabbed to, in the order in which it is seen. What is put in anew has its colours at once, without a transition.
    const focused = this.#focused;
    panel.append(...(this.#mode === "floating" && vertical === "bottom" ? [talk, card] : [card, talk]));
    if (this.#mode === "inline") gauge.before(talk);
    focused?.focus();
    this.#label();
    this.#open(this.#isOpen);
  }

  #label() {
    const { root, ready, busy, hushed, hide, meter, mute, sound, talk } = this.#parts, words = this.#words;
    root.setAttribute("aria-label", words.voiceWidgetLabel);
    talk.setAttribute("aria-label", words.voiceTranscriptLabel);
    for (const [part, text] of [[hide, words.voiceHideText], [meter, words.voiceLevelLabel], [mute, words.voiceMuteText]]) {
      setLanguage(part, text).setAttribute("aria-label", text);
    }
    mute.title = words.voiceMuteText;
    say(ready, this.#options.buttonText);
    say(busy, words.voiceOnCallText);
    say(hushed, words.voiceMutedText);
    say(sound.querySelector("span"), words.voiceSoundText);
  }

  show({ state, title, detail }) {
    const { root, card, main, mute, sound, time, hide, ready, busy } = this.#parts, words = this.#words;
    const wasLive = isLive(this.#state), live = isLive(state);
    if (live && !wasLive) this.#begin();
    if (state === "connected") this.#since ||= performance.now();
    if (!live) this.#since = 0;
    this.#state = root.dataset.state = state;
    root.classList.toggle("live", live);
    this.#detail = detail;
    change(this.#parts.title, title);
    this.#tellDetail();
    // Made anew, for what stays and goes elsewhere is what browsers call a shift of the page's layout.
    const action = live ? words.voiceEndCallText : state === "failed" ? words.voiceRetryText : this.#options.buttonText;
    main.replaceChildren(icon(live ? "hangUp" : "microphone"), say(make("span"), action));
    // Both take their room, so that the button is as wide in a call as it is without one.
    ready.classList.toggle("other", live);
    busy.classList.toggle("other", !live);
    // What is refused has no button. The card takes the focus then where nothing else can, and keeps the visitor's place.
    if (!live && [mute, sound, main].includes(this.#focused)) (state !== "refused" ? main : this.#mode === "inline" ? card : hide).focus();
    mute.disabled = !live;
    if (live) return void (mute.hidden = false);
    sound.hidden = true;
    time.textContent = "";
    this.level({ up: 0, down: 0 });
    for (const row of this.#rows) settle(row);
    // Bad news does not wait until somebody opens the card.
    if (wasLive && state !== "ended" && !this.#isOpen) this.#open(true);
  }

  showMuted(isMuted) {
    this.#isMuted = isMuted;
    this.#parts.root.classList.toggle("muted", isMuted);
    this.#parts.mute.setAttribute("aria-pressed", String(isMuted));
    this.#tellDetail();
  }

  /* Who is muted is not asked to speak. */
  #tellDetail() {
    const isAsked = this.#state === "connected" && this.#detail === this.#words.voiceConnectedSubtext;
    change(this.#parts.detail, isAsked && this.#isMuted ? this.#words.voiceMutedText : this.#detail);
    // A page that loads has nothing to say.
    if (this.#began) this.#saying ??= setTimeout(() => this.#say(), 100);
  }

  /* Says what is seen, of what follows at once the last. Screen readers hear of no change in the task that makes the place for it. */
  #say() {
    this.#saying = undefined;
    const { title, detail, said } = this.#parts, seen = [title, detail];
    seen.forEach((each, at) => {
      change(said.children[at], each.textContent);
      each.setAttribute("aria-hidden", "true");  // or they would come upon it twice
    });
  }

  /* Whether the browser plays what comes. Where it does not, nobody should have to look for why. */
  showSound(isOn) {
    const { sound, main } = this.#parts;
    if (isOn && this.#focused === sound) main.focus();
    if (!isOn && sound.hidden) this.#open(true);
    sound.hidden = isOn;
  }

  level({ up, down }) {
    const { root, meter, time } = this.#parts, now = performance.now();
    root.style.setProperty("--up", up.toFixed(2));
    root.style.setProperty("--down", down.toFixed(2));
    if (isLive(this.#state) && now - this.#told < 250) return;
    this.#told = now;
    meter.setAttribute("aria-valuenow", Math.round(up * 100));
    meter.setAttribute("aria-valuetext", up > 0.2 ? this.#words.voiceHeardText : this.#words.voiceSilentText);
    if (this.#since) time.textContent = clock(now - this.#since);
  }

  /* ---- what is said ---------------------------------------------------------------------------------------- */

  /* Words that may still change are those of the speaker's open row. What the agent says comes bit by bit. */
  write({ who, text, final }) {
    text = text.trim();
    if (!this.#options.transcript || !text) return;
    const { talk } = this.#parts;
    const isAtEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
    if (who === "you") this.endTurn();
    const row = this.#openRow(who) ?? this.#add(who);
    row.text.textContent = row.words = cut(who === "agent" ? `${row.words} ${text}`.trim() : text, 2000);
    row.item.classList.toggle("partial", !final);
    if (who === "you" && final) settle(row);
    this.#showTalk();
    if (isAtEnd) talk.scrollTop = talk.scrollHeight;
  }

  /* What the agent says after this is something new. */
  endTurn() {
    const row = this.#openRow("agent");
    if (row) settle(row);
  }

  #openRow(who) {
    return this.#rows.findLast((row) => row.who === who && !row.isSettled);
  }

  #add(who) {
    const row = { who, item: make("li", who), text: make("p"), words: "", isSettled: false };
    row.text.dir = "auto";
    row.text.lang = "";  // which it is, nobody tells
    row.item.append(say(make("b"), who === "you" ? this.#words.voiceYouText : this.#words.voiceAgentText), row.text);
    this.#parts.rows.append(row.item);
    this.#rows.push(row);
    if (this.#rows.length > 200) this.#rows.shift().item.remove();
    return row;
  }

  #begin() {
    this.#began = performance.now();
    this.#rows = [];
    this.#parts.rows.replaceChildren();
    this.#showTalk();
  }

  #showTalk() {
    this.#parts.talk.hidden = !this.#isOpen || !this.#rows.length;
  }

  /* ---- the button and the card ----------------------------------------------------------------------------- */

  #open(isOpen) {
    const { root, pill, hide } = this.#parts;
    this.#isOpen = isOpen;
    root.classList.toggle("closed", !isOpen);
    hide.hidden = this.#mode === "inline";
    pill.hidden = isOpen;
    this.#showTalk();
  }

  #close() {
    this.#open(false);
    this.#parts.pill.focus();
  }

  #wire() {
    const { root, pill, main, mute, hide } = this.#parts, widget = this.#widget;
    pill.onclick = () => {
      this.#open(true);
      if (!widget.isLive) widget.start();
      main.focus();  // which was not there if the last call was refused
    };
    main.onclick = ({ detail }) => {
      // What begins a call puts this where it was pressed: the rest of a double click is not meant for it.
      if (detail > 1 || (this.#state === "connecting" && performance.now() - this.#began < 600)) return;
      if (widget.isLive) widget.stop();
      else widget.start();
    };
    mute.onclick = () => widget.mute();
    hide.onclick = () => this.#close();
    root.onkeydown = (event) => {
      if (event.repeat && event.key === "Enter") event.preventDefault();
      if (event.key !== "Escape" || !this.#isOpen || this.#mode === "inline") return;
      event.stopPropagation();
      this.#close();
    };
  }
}

/* What stands in the page. It tells when the page takes it away, and not when it only moves it. */
if (!customElements.get("patchbay-widget")) customElements.define("patchbay-widget", class extends HTMLElement {
  disconnectedCallback() {
    setTimeout(() => { if (!this.isConnected) this.onGone(); }, 300);
  }
});

const isLive = (state) => state === "connecting" || state === "connected";

function settle(row) {
  row.isSettled = true;
  row.item.classList.remove("partial");
}

/* ---- parts ----------------------------------------------------------------------------------------------------- */

function build() {
  const root = make("section", "root waiting"), panel = make("div", "panel"), card = make("div", "card"), words = make("div", "words");
  const title = make("strong"), detail = make("span"), said = make("div", "said"), gauge = make("div", "gauge"), time = make("span", "time");
  const orb = make("div", "orb"), meter = make("div", "meter"), buttons = make("div", "buttons");
  const label = make("span"), ready = make("b"), busy = make("b", "other"), hushed = make("i"), rows = make("ol"), talk = make("div", "talk");
  const pill = button("pill", icon("microphone", "open"), icon("muted", "shut"), label, hushed), hide = button("hide", icon("hide"));
  const mute = button("mute", icon("microphone", "open"), icon("muted", "shut"));
  const sound = button("sound", icon("sound"), make("span")), main = button("main");
  label.append(ready, busy);
  card.tabIndex = -1;
  pill.hidden = mute.hidden = sound.hidden = talk.hidden = true;
  title.dir = detail.dir = "auto";
  said.setAttribute("role", "status");
  said.append(make("div"), make("div"));
  words.append(title, detail, said);
  time.setAttribute("role", "timer");
  orb.append(icon("microphone"));
  orb.setAttribute("aria-hidden", "true");
  meter.append(make("i"));
  for (const [name, value] of [["role", "meter"], ["aria-valuemin", 0], ["aria-valuemax", 100], ["aria-valuenow", 0]]) meter.setAttribute(name, value);
  mute.setAttribute("aria-pressed", "false");
  gauge.append(meter, time);
  buttons.append(mute, sound, main);
  card.append(orb, words, hide, gauge, buttons);
  // Nobody wants it read aloud over the voice that says it.
  talk.setAttribute("role", "log");
  talk.setAttribute("aria-live", "off");
  talk.tabIndex = 0;
  talk.append(rows);
  panel.append(card, talk);
  root.append(panel, pill);
  return { root, panel, card, title, detail, said, gauge, time, hide, meter, mute, sound, main, pill, ready, busy, hushed, talk, rows };
}

function button(className, ...content) {
  const made = make("button", className);
  made.type = "button";
  made.append(...content);
  return made;
}

const shapes = {
  microphone: ["M9 6.5a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0z", "M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"],
  muted: ["M9 8v3.5a3 3 0 0 0 4.8 2.4M15 11V6.5a3 3 0 0 0-5.5-1.6", "M5.5 11.5a6.5 6.5 0 0 0 10.5 5.1M18.5 11.5a6.5 6.5 0 0 1-.6 2.7M12 18v3M4 4l16 16"],
  hangUp: ["M3 14.5c4.8-4.7 13.2-4.7 18 0l-2.3 2.6-3.7-1.7v-2.7c-2-.6-4-.6-6 0v2.7l-3.7 1.700z"],
  hide: ["M6 12h12"],
  sound: ["M4 9.5h3.5L12 5.5v13l-4.5-4H4z", "M15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11"],
};

function icon(name, className = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [attribute, value] of [["viewBox", "0 0 24 24"], ["aria-hidden", "true"], ["class", className]]) svg.setAttribute(attribute, value);
  for (const d of shapes[name]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

function make(tag, className = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return element;
}

function say(element, text) {
  element.textContent = text;
  return setLanguage(element, text);
}

/* What has not changed is not said again. */
function change(element, text) {
  if (element.textContent !== text) say(element, text);
}

const english = new Set([...Object.values(standardWords), standardButtonText]);

/* The script's own words are English on any page; others are in the page's language. */
function setLanguage(element, text) {
  if (english.has(text)) element.lang = "en";
  else element.removeAttribute("lang");
  return element;
}

const clock = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;
