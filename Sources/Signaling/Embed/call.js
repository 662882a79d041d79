/* One call, from the press of the button to its end. It knows nothing of how it is shown: `tell` hears `state`, `level`, `speaking`,
   `transcript`, `message` and `sound`. */
class Call {
  #base; #token; #variables; #configure; #config; #wordsNow; #audio; #tell;
  #id = "PC-" + hex(16);
  #over = false; #isHeld = false; #connected = false; #restarted = false; #ending = null;
  #microphone; #context; #up; #down; #stream; #socket; #session; #pc; #early = []; #limit; #patience; #giveUp;
  #done = new AbortController();

  /* `configure` comes to the token's settings, and `words` are those that are known by then. */
  constructor({ base, token, variables, audio, configure, words, tell }) {
    this.#base = base;
    this.#token = token;
    this.#variables = variables;
    this.#audio = audio;
    this.#configure = configure;
    this.#wordsNow = words;
    this.#tell = tell;
  }

  get #words() { return this.#wordsNow(); }

  async start() {
    try {
      this.#show("connecting", this.#words.voiceConnectingText, this.#words.voiceMicrophoneAskText);
      this.#openContext();
      this.#config = await this.#configure();
      if (this.#over) return this.#close();
      await this.#openMicrophone();
      if (this.#over) return this.#close();
      this.#watchLevels();
      this.#show("connecting", this.#words.voiceConnectingText, this.#words.voiceConnectingSubtext);
      this.#session = await this.#openSession();
      if (this.#over) return this.#close();
      const [servers] = await Promise.all([this.#findServers(), this.#openSocket()]);
      if (this.#over) return this.#close();
      await this.#offer(servers);
    } catch (error) {
      if (this.#over) this.#close();
      else this.#end(error);
    }
  }

  hangUp() {
    this.#end({ state: "ended", code: "hung_up", title: this.#words.voiceCallEndedTitle, detail: this.#words.voiceCallEndedSubtext });
  }

  mute(isMuted) {
    this.isMuted = isMuted;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !isMuted;
  }

  #show(state, title, detail, code = "") {
    this.#tell("state", { state, title, detail, code });
  }

  /* ---- microphone and session ------------------------------------------------------------------------------ */

  #needsMicrophone(code, text) {
    return new Problem("failed", code, this.#words.voiceMicrophoneTitle, text);
  }

  /* In the same turn as the click that allows it. */
  #openContext() {
    if (!window.isSecureContext || !navigator.mediaDevices) throw this.#needsMicrophone("microphone_insecure", this.#words.voiceMicrophoneInsecureText);
    // By a Permissions-Policy, or for want of a frame's `allow`. Only Chromium tells; elsewhere it looks as if the visitor had said no.
    if (document.featurePolicy?.allowsFeature?.("microphone") === false) throw this.#needsMicrophone("microphone_forbidden", this.#words.voiceMicrophoneForbiddenText);
    try { this.#context = new AudioContext(); } catch {}
    this.#wake();
    // Of a call that nobody has pressed for, browsers keep the sound and the meters back until somebody presses something.
    for (const name of ["click", "keydown"]) addEventListener(name, () => this.#wake(), { capture: true, signal: this.#done.signal });
  }

  #wake() {
    this.#context?.resume().catch(() => {});
    if (this.#isHeld) this.#play();
  }

  #play() {
    const tell = (on) => {
      if (this.#over) return;
      this.#isHeld = !on;
      this.#tell("sound", { on });
    };
    this.#audio.play().then(() => tell(true), () => tell(false));
  }

  async #openMicrophone() {
    const words = this.#words;
    try {
      const asked = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      this.#microphone = await navigator.mediaDevices.getUserMedia({ audio: asked });
    } catch (error) {
      switch (error.name) {
        case "NotFoundError": throw this.#needsMicrophone("microphone_missing", words.voiceMicrophoneMissingText);
        case "AbortError":  // Firefox's, of one that does not start
        case "NotReadableError": throw this.#needsMicrophone("microphone_busy", words.voiceMicrophoneBusyText);
        case "NotAllowedError":
        case "SecurityError": throw this.#needsMicrophone("microphone_denied", words.voiceMicrophoneDeniedText);
      }
      throw error;
    }
    if (this.#over) return;  // hung up while the browser asked
    this.#wake();  // a page that has the microphone may make sound
    this.mute(Boolean(this.isMuted));
    this.#up = this.#analyse(this.#microphone);
    for (const track of this.#microphone.getAudioTracks()) track.onended = () => this.#changeMicrophone();
  }

  /* It was unplugged, say, and there may be another. */
  async #changeMicrophone() {
    if (this.#over) return;
    try {
      await this.#openMicrophone();
      if (this.#over) return this.#close();
      await this.#pc?.getSenders()[0]?.replaceTrack(this.#microphone.getAudioTracks()[0]);
    } catch (error) {
      this.#end(error);
    }
  }

  async #openSession() {
    const { status, json, detail } = await ask(this.#base + "public/embed/init", this.#words, {
      method: "POST", headers: { "Content-Type": "application/json" },
      signal: AbortSignal.timeout(10_000),
      body: JSON.stringify({ token: this.#token, context_variables: this.#variables ?? null }) });
    if (status !== 200) throw refusal(this.#words, status, detail);
    if (typeof json?.session_token !== "string") throw refusal(this.#words, 500, "");
    return json.session_token;
  }

  /* The gateway's TURN servers, if it has any. Without an answer the call is tried without. */
  async #findServers() {
    if (this.#config?.turn_enabled === false) return { iceServers: [] };
    const address = this.#base + "public/embed/turn-credentials/" + encodeURIComponent(this.#session);
    const { status, json } = await ask(address, this.#words, { signal: AbortSignal.timeout(5000) }).catch(() => ({}));
    if (status !== 200 || !json?.uris?.length) return { iceServers: [] };
    return {
      iceServers: [{ urls: json.uris, username: json.username, credential: json.password }],
      iceTransportPolicy: this.#config?.force_turn_relay ? "relay" : "all" };
  }

  /* ---- the signaling socket -------------------------------------------------------------------------------- */

  #openSocket() {
    const address = this.#base.replace(/^http/, "ws") + "ws/public/signaling/" + encodeURIComponent(this.#session);
    const socket = new WebSocket(address);
    this.#leaveSocket();
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      let isOpen = false;
      const limit = setTimeout(() => { reject(unreachable(this.#words, "no_answer")); socket.close(); }, this.#connected ? 4000 : 10_000);
      socket.onopen = () => { isOpen = true; clearTimeout(limit); resolve(); };
      socket.onmessage = ({ data }) => this.#receive(data);
      socket.onclose = ({ code, reason }) => {
        clearTimeout(limit);
        // Browsers do not tell why. Where it was the token, the next call is told so before it comes to a socket.
        if (!isOpen) return reject(new Problem("failed", "socket_refused", this.#words.voiceConnectionFailedTitle, this.#words.voiceRefusedSocketText));
        if (this.#over) return;
        if (this.#ending || reason === "call ended") this.#end(this.#ending ?? ending(this.#words, "", this.#connected));
        else if (code === 1012) this.#end(new Problem("failed", "server_stopped", this.#words.voiceServiceTitle, this.#words.voiceRestartText));
        else if (code !== 1006 && code !== 1011) this.#end(lostPath(this.#words, "socket_closed"));
        else if (this.#connected) this.#comeBack();
        else this.#end(unreachable(this.#words, "socket_lost"));
      };
    });
  }

  /* Lets go of a socket without a close frame, which would end the call should it still get through. */
  #leaveSocket() {
    if (this.#socket) this.#socket.onmessage = this.#socket.onclose = null;
  }

  /* The gateway keeps a call whose socket is lost, for a while. */
  async #comeBack() {
    this.#giveUp ??= setTimeout(() => this.#end(lostPath(this.#words, "socket_lost")), 12_000);
    clearTimeout(this.#limit);
    clearTimeout(this.#patience);
    this.#show("connected", this.#words.voiceConnectedTitle, this.#words.voiceReconnectingText);
    while (!this.#over) {
      try {
        await this.#openSocket();
        if (this.#over) return this.#close();
        return await this.#restart("offer");
      } catch {
        if (this.#over) return this.#close();
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  #send(type, payload) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, payload: { pc_id: this.#id, ...payload } }));
  }

  async #receive(data) {
    let message;
    try { message = JSON.parse(data); } catch { return; }
    if (this.#over || message === null || typeof message !== "object") return;
    const payload = message.payload ?? {};
    try {
      // A bot's own message may have a type that is the gateway's otherwise.
      if (message.label === "rtvi-ai") return this.#tell("message", message);
      switch (message.type) {
        case "answer":
          clearTimeout(this.#patience);
          clearTimeout(this.#giveUp);
          this.#giveUp = undefined;
          await this.#pc.setRemoteDescription({ type: "answer", sdp: payload.sdp });
          for (const candidate of this.#early.splice(0)) this.#addCandidate(candidate);
          return;
        case "ice-candidate":
          if (!payload.candidate) return;
          if (this.#pc?.remoteDescription) this.#addCandidate(payload.candidate);
          else this.#early.push(payload.candidate);
          return;
        case "call-ended":
          this.#ending = ending(this.#words, plain(payload.reason), this.#connected);
          return;
        case "error":
          // A relay may still be found.
          if (payload.error_type === "relay_unavailable") return this.#show("connecting", this.#words.voiceConnectingText, cut(plain(payload.message), 300));
          return this.#end(this.#connected ? lostPath(this.#words, plain(payload.error_type) || "error") : offerRefusal(this.#words, payload));
        case "rtf-user-transcription":
          return this.#tell("transcript", { who: "you", text: plain(payload.text), final: payload.final !== false });
        case "rtf-bot-text":
          return this.#tell("transcript", { who: "agent", text: plain(payload.text), final: true });
        case "rtf-bot-started-speaking":
        case "rtf-bot-stopped-speaking":
          return this.#tell("speaking", { who: "agent", on: message.type === "rtf-bot-started-speaking" });
        default:
          this.#tell("message", message);
      }
    } catch {
      this.#end(new Problem("failed", "bad_message", this.#words.voiceServiceTitle, this.#words.voiceServiceText));
    }
  }

  /* ---- the peer connection --------------------------------------------------------------------------------- */

  /* One that is no good is not missed where others are. */
  #addCandidate(candidate) {
    this.#pc.addIceCandidate(candidate).catch((error) => console.warn("Patchbay:", error.message));
  }

  async #offer(servers) {
    const words = this.#words;
    const pc = this.#pc = new RTCPeerConnection(servers);
    pc.ontrack = ({ track, streams: [stream = new MediaStream([track])] }) => {
      this.#audio.srcObject = this.#stream = stream;
      this.#play();
      this.#down = this.#analyse(stream);
    };
    pc.onicecandidate = ({ candidate }) => {
      // The empty one ends a generation; null, which follows, ends them all.
      if (candidate?.candidate !== "") this.#send("ice-candidate", { candidate: candidate?.toJSON() ?? null });
    };
    pc.onconnectionstatechange = () => {
      if (this.#over) return;
      switch (pc.connectionState) {
        case "connected":
          this.#connected = true;
          this.#restarted = false;
          clearTimeout(this.#limit);
          return this.#show("connected", words.voiceConnectedTitle, words.voiceConnectedSubtext);
        case "disconnected":
          return this.#connected && this.#show("connected", words.voiceConnectedTitle, words.voiceReconnectingText);
        case "failed":
          if (!this.#connected) return this.#end(noPath(words, "ice_failed"));
          if (this.#socket.readyState !== WebSocket.OPEN) return;  // #comeBack() looks for another path too
          if (this.#restarted) return this.#end(lostPath(words, "connection_lost"));
          this.#restarted = true;
          this.#restart("renegotiate").catch((error) => this.#end(error));
      }
    };
    for (const track of this.#microphone.getAudioTracks()) pc.addTrack(track, this.#microphone);
    const description = await pc.createOffer();
    this.#send("offer", { sdp: description.sdp, type: description.type });
    await pc.setLocalDescription(description);
    // The gateway looks for a path for 39.5 s.
    this.#limit = setTimeout(() => this.#end(pc.remoteDescription ? noPath(words, "ice_failed") : unreachable(words, "no_answer")), 45_000);
  }

  /* Another path for the sound of the same call. Where nobody answers, the socket is lost and does not know it yet. */
  async #restart(type) {
    const description = await this.#pc.createOffer({ iceRestart: true });
    this.#send(type, { sdp: description.sdp, type: description.type });
    await this.#pc.setLocalDescription(description);
    clearTimeout(this.#limit);
    this.#limit = setTimeout(() => {
      if (!this.#over && this.#pc.connectionState !== "connected") this.#end(lostPath(this.#words, "connection_lost"));
    }, 15_000);
    this.#patience = setTimeout(() => this.#comeBack(), 4000);
    if (this.#pc.connectionState === "connected") this.#show("connected", this.#words.voiceConnectedTitle, this.#words.voiceConnectedSubtext);
  }

  /* ---- levels ---------------------------------------------------------------------------------------------- */

  /* A call without a meter is better than none: browsers differ in which streams they can measure. */
  #analyse(stream) {
    try {
      const node = new AnalyserNode(this.#context, { fftSize: 1024 });
      this.#context.createMediaStreamSource(stream).connect(node);
      return { node, samples: new Float32Array(node.fftSize) };
    } catch (error) {
      console.warn("Patchbay:", error.message);
    }
  }

  #watchLevels() {
    if (this.#over) return;
    this.#tell("level", { up: loudness(this.#up), down: loudness(this.#down) });
    requestAnimationFrame(() => this.#watchLevels());
  }

  /* ---- the end --------------------------------------------------------------------------------------------- */

  #end(how) {
    if (this.#over) return;
    if (!how.state) {
      console.error("Patchbay:", how);
      how = new Problem("failed", "error", this.#words.voiceServiceTitle, this.#words.voiceServiceText);
    }
    this.#over = true;
    this.#close();
    this.#show(how.state, how.title ?? how.message, how.detail, how.code);
  }

  #close() {
    this.#done.abort();
    for (const timer of [this.#limit, this.#patience, this.#giveUp]) clearTimeout(timer);
    this.#leaveSocket();
    this.#socket?.close(1000);
    this.#pc?.close();
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    if (this.#context && this.#context.state !== "closed") this.#context.close();
    if (this.#stream && this.#audio.srcObject === this.#stream) this.#audio.srcObject = null;
  }
}

/* Status, JSON and the `detail` of an answer. Throws where there is none. */
async function ask(address, words, options) {
  let response, text;
  try {
    response = await fetch(address, { credentials: "omit", referrerPolicy: "strict-origin", ...options });
    text = await response.text();
  } catch {
    throw unreachable(words, "unreachable");
  }
  let json = null;
  try { json = JSON.parse(text); } catch {}
  const detail = typeof json?.detail === "string" ? cut(json.detail, 300) : "";
  if (!response.ok) console.warn(`Patchbay: the gateway answered ${response.status} ${detail}`.trim());
  return { status: response.status, json, detail };
}

/* How loud it is, 0 to 1 over the 60 dB below full scale. */
function loudness(tap) {
  if (!tap) return 0;
  tap.node.getFloatTimeDomainData(tap.samples);
  const power = tap.samples.reduce((sum, sample) => sum + sample * sample, 0) / tap.samples.length;
  return power > 1e-6 ? Math.min(1, 10 * Math.log10(power) / 60 + 1) : 0;
}

const hex = (count) => Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => byte.toString(16).padStart(2, "0")).join("");
