/* What people see and touch: a button in a corner that opens a card, or the card alone in a place of the page's. */
class View {
  #widget; #mode; #host = document.createElement("div"); #parts; #words = wordsOf(); #options = { buttonText: "", transcript: true };
  #isOpen; #state = "ready"; #since = 0; #told = 0; #rows = [];

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
    place.append(this.#host);
  }

  get element() { return this.#host; }
  get #focused() { return this.#host.shadowRoot.activeElement; }

  /* How it looks and what it says; until that is known nobody sees it. */
  dress(options, words) {
    const { root, panel, card, talk } = this.#parts;
    this.#options = options;
    this.#words = words;
    const [vertical, horizontal] = options.position.split("-");
    root.className = ["root", this.#mode, vertical, horizontal, options.size].join(" ");
    const { color, ink } = buttonColors(options.buttonColor);
    for (const [name, value] of [["--button", color], ["--button-ink", ink], ["--stack", options.stack]]) root.style.setProperty(name, value);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const paint = () => root.classList.toggle("dark", options.theme === "dark" || (options.theme === "auto" && dark.matches));
    dark.onchange = paint;
    paint();
    // It is read, and tabbed to, in the order in which it is seen.
    panel.append(...(this.#mode === "floating" && vertical === "bottom" ? [talk, card] : [card, talk]));
    this.#label();
    this.#open(this.#isOpen);
  }

  #label() {
    const { root, ready, busy, hide, meter, mute, sound, talk } = this.#parts, words = this.#words;
    root.setAttribute("aria-label", words.voiceWidgetLabel);
    ready.textContent = this.#options.buttonText;
    busy.textContent = words.voiceOnCallText;
    hide.setAttribute("aria-label", words.voiceHideText);
    meter.setAttribute("aria-label", words.voiceLevelLabel);
    talk.setAttribute("aria-label", words.voiceTranscriptLabel);
    mute.setAttribute("aria-label", words.voiceMuteText);
    mute.title = words.voiceMuteText;
    sound.querySelector("span").textContent = words.voiceSoundText;
  }

  show({ state, title, detail }) {
    const { root, main, mute, sound, time, ready, busy } = this.#parts, words = this.#words;
    const wasLive = isLive(this.#state), live = isLive(state);
    if (live && !wasLive) this.#clear();
    if (state === "connected") this.#since ||= performance.now();
    if (!live) this.#since = 0;
    this.#state = root.dataset.state = state;
    root.classList.toggle("live", live);
    // What has not changed is not said again.
    for (const [part, text] of [[this.#parts.title, title], [this.#parts.detail, detail]]) if (part.textContent !== text) part.textContent = text;
    // Made anew, for what stays and goes elsewhere is what browsers call a shift of the page's layout.
    const action = live ? words.voiceEndCallText : state === "failed" || state === "refused" ? words.voiceRetryText : this.#options.buttonText;
    main.replaceChildren(icon(live ? "hangUp" : "microphone"), make("span", "", action));
    // Both take their room, so that the button is as wide in a call as it is without one.
    ready.classList.toggle("other", live);
    busy.classList.toggle("other", !live);
    if (!live && [mute, sound].includes(this.#focused)) main.focus();
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
    this.#parts.root.classList.toggle("muted", isMuted);
    this.#parts.mute.setAttribute("aria-pressed", String(isMuted));
  }

  /* Whether the browser plays what comes. */
  showSound(isOn) {
    const { sound, main } = this.#parts;
    if (isOn && this.#focused === sound) main.focus();
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
    row.item.append(make("b", "", who === "you" ? this.#words.voiceYouText : this.#words.voiceAgentText), row.text);
    this.#parts.rows.append(row.item);
    this.#rows.push(row);
    if (this.#rows.length > 200) this.#rows.shift().item.remove();
    return row;
  }

  #clear() {
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
    const { root, pill, main, mute, sound, hide } = this.#parts, widget = this.#widget;
    pill.onclick = () => {
      this.#open(true);
      main.focus();
      if (!widget.isLive) widget.start();
    };
    main.onclick = () => widget.isLive ? widget.stop() : widget.start();
    mute.onclick = () => widget.mute();
    sound.onclick = () => widget.audio.play().then(() => this.showSound(true), () => {});
    hide.onclick = () => this.#close();
    root.onkeydown = (event) => {
      if (event.key !== "Escape" || !this.#isOpen || this.#mode === "inline") return;
      event.stopPropagation();
      this.#close();
    };
  }
}

const isLive = (state) => state === "connecting" || state === "connected";

function settle(row) {
  row.isSettled = true;
  row.item.classList.remove("partial");
}

/* ---- parts ----------------------------------------------------------------------------------------------------- */

function build() {
  const root = make("section", "root waiting"), panel = make("div", "panel"), card = make("div", "card"), words = make("div", "words");
  const title = make("strong"), detail = make("span"), corner = make("div", "corner"), time = make("span", "time");
  const orb = make("div", "orb"), meter = make("div", "meter"), buttons = make("div", "buttons");
  const label = make("span"), ready = make("b"), busy = make("b", "other"), rows = make("ol"), talk = make("div", "talk");
  const pill = button("pill", icon("microphone"), label), hide = button("hide", icon("hide"));
  const mute = button("mute", icon("microphone", "open"), icon("muted", "shut"));
  const sound = button("sound", icon("sound"), make("span")), main = button("main");
  label.append(ready, busy);
  pill.hidden = mute.hidden = sound.hidden = talk.hidden = true;
  title.dir = detail.dir = "auto";
  words.append(title, detail);
  words.setAttribute("role", "status");
  corner.append(hide, time);
  time.setAttribute("role", "timer");
  orb.append(icon("microphone"));
  orb.setAttribute("aria-hidden", "true");
  meter.append(make("i"));
  for (const [name, value] of [["role", "meter"], ["aria-valuemin", 0], ["aria-valuemax", 100], ["aria-valuenow", 0]]) meter.setAttribute(name, value);
  mute.setAttribute("aria-pressed", "false");
  buttons.append(mute, sound, main);
  card.append(orb, words, corner, meter, buttons);
  // Nobody wants it read aloud over the voice that says it.
  talk.setAttribute("role", "log");
  talk.setAttribute("aria-live", "off");
  talk.tabIndex = 0;
  talk.append(rows);
  panel.append(card, talk);
  root.append(panel, pill);
  return { root, panel, card, title, detail, time, hide, meter, mute, sound, main, pill, ready, busy, talk, rows };
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

function make(tag, className = "", text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const clock = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;
