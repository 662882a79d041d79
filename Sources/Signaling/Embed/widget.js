/* One widget of a page: its settings, its state, its call, and what the page's own scripts may do with it. */
class Widget {
  #options; #config = null; #words = wordsOf(); #view = null; #call = null; #isMuted = false; #isDressed = false; #place = 0;
  #last = { state: "ready", title: "", detail: "", code: "" };
  #listeners = new Map(); #audio = new Audio();

  constructor(options) {
    this.#options = options;
    if (options.mode !== "headless") this.#view = new View(this, options.mode, options.place);
    this.#begin();
  }

  get mode() { return this.#options.mode; }
  get state() { return this.#last.state; }
  get isLive() { return this.#call !== null; }
  get muted() { return this.#isMuted; }
  /* Plays the agent's voice. Its volume and its loudspeaker are the page's to choose. */
  get audio() { return this.#audio; }
  /* What stands in the page; null where the page itself shows the call. */
  get element() { return this.#view?.element ?? null; }

  /* Starts a call, where there is none. Resolves with the state that this comes to: connected, ended, failed or refused. */
  start({ context } = {}) {
    const outcome = new Promise((resolve) => {
      const end = this.on("state", ({ state }) => { if (state !== "connecting") { end(); resolve(state); } });
      if (this.state === "connected") { end(); resolve("connected"); }
    });
    if (this.#call) return outcome;
    // null is none at all.
    const variables = context === null ? null : sift({ context }).context ?? this.#options.context;
    for (const other of widgets.keys()) other.stop();
    const call = this.#call = new Call({
      base: this.#options.base, token: this.#options.token, variables, audio: this.#audio,
      configure: () => this.#configure(), words: () => this.#words,
      tell: (what, detail) => { if (this.#call === call) this.#hear(what, detail); } });
    call.mute(this.#isMuted);
    call.start();
    return outcome;
  }

  /* Hangs up. */
  stop() {
    this.#call?.hangUp();
  }

  /* Sends silence in place of what the microphone hears, or no longer; says which. */
  mute(isMuted = !this.#isMuted) {
    this.#isMuted = Boolean(isMuted);
    this.#call?.mute(this.#isMuted);
    this.#view?.showMuted(this.#isMuted);
    this.#emit("mute", { muted: this.#isMuted });
    return this.#isMuted;
  }

  /* Calls `listener` at each event of that name. What it returns ends that, as `off` does. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.off(name, listener);
  }

  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  /* Hangs up, and takes it out of the page. */
  remove() {
    this.stop();
    widgets.delete(this);
    this.#view?.remove();
  }

  #emit(name, detail) {
    for (const listener of [...this.#listeners.get(name) ?? []]) {
      try { listener(detail); } catch (error) { console.error(error); }
    }
  }

  async #begin() {
    let problem = null;
    try { await this.#configure(); } catch (error) { problem = error; }
    if (!widgets.has(this)) return;
    const isCalling = this.isLive;
    // A service that is not there now may be there when somebody calls.
    if (!isCalling && problem?.state === "refused") this.#show(problem);
    else if (!isCalling) this.#show({ state: "ready", title: this.#words.voiceReadyTitle, detail: this.#words.voiceReadySubtext, code: "" });
    // What is seen first is what is meant.
    this.#dress();
    if (!isCalling && !problem && (this.#options.autoStart ?? this.#config?.auto_start)) this.start();
  }

  /* Asks the gateway for the token's settings, unless they are known. */
  async #configure() {
    if (this.#config) return this.#config;
    const address = this.#options.base + "public/embed/config/" + encodeURIComponent(this.#options.token);
    const { status, json, detail } = await ask(address, this.#words, { signal: AbortSignal.timeout(5000) });
    if (status !== 200) throw refusal(this.#words, status, detail);
    this.#config = json ?? {};
    this.#words = wordsOf(this.#config);
    if (this.#isDressed) this.#dress();
    return this.#config;
  }

  /* What the page says counts before what the token's settings say. */
  #dress() {
    this.#isDressed = true;
    const own = this.#options, set = this.#config ?? {};
    const choose = (name) => [own[name], set[name]].find((each) => choices[name].includes(each)) ?? choices[name][0];
    const position = choose("position");
    this.position = own.mode === "floating" ? position : null;
    // The first place of that corner that is free.
    const taken = [...widgets.keys()].filter((other) => other !== this && other.position === this.position && other.element?.isConnected).map((other) => other.#place);
    for (this.#place = 0; this.position && taken.includes(this.#place);) this.#place += 1;
    this.#view?.dress({
      position, size: choose("size"), theme: choose("theme"),
      buttonText: own.buttonText || plain(set.button_text) || standardButtonText,
      buttonColor: own.buttonColor || plain(set.button_color), transcript: own.transcript ?? true,
      place: this.#place,
    }, this.#words);
    this.#view?.show(this.#last);
  }

  #show({ state, title, detail, code }) {
    this.#last = { state, title, detail, code };
    const ends = this.#call && !isLive(state);
    if (ends) this.#call = null;
    this.#view?.show(this.#last);
    this.#emit("state", this.#last);
    // Nobody expects that the next call begins in silence.
    if (ends && this.#isMuted) this.mute(false);
  }

  #hear(what, detail) {
    switch (what) {
      case "state": return this.#show(detail);
      case "level": this.#view?.level(detail); break;
      case "transcript": this.#view?.write(detail); break;
      case "speaking": if (!detail.on) this.#view?.endTurn(); break;
      case "sound": this.#view?.showSound(detail.on); break;
    }
    this.#emit(what, detail);
  }
}
