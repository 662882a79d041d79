/* What the widget says. Whatever a token's settings have under one of these names is said instead. */
const standardWords = {
  voiceWidgetLabel: "Voice call",
  voiceReadyTitle: "Ready when you are",
  voiceReadySubtext: "Your browser will ask for the microphone.",
  voiceConnectingText: "Connecting…",
  voiceConnectingSubtext: "This takes a moment.",
  voiceConnectedTitle: "You are connected",
  voiceConnectedSubtext: "Go ahead and speak.",
  voiceReconnectingText: "Interrupted. Trying to get it back.",
  voiceCallEndedTitle: "Call ended",
  voiceCallEndedSubtext: "Thank you for calling.",
  voiceTimeLimitText: "The call has reached its longest time.",
  voiceIdleText: "Nobody has spoken for a while.",
  voiceConnectionFailedTitle: "No connection",
  voiceConnectionFailedSubtext: "Check your network, then try again.",
  voiceConnectionLostTitle: "Connection lost",
  voiceConnectionLostSubtext: "Check your network, then call again.",
  voiceServiceTitle: "Something went wrong",
  voiceServiceText: "Try again in a moment.",
  voiceRestartText: "The service is restarting. Call again in a moment.",
  voiceUnreachableTitle: "No answer",
  voiceUnreachableText: "Check your network, then try again.",
  voiceRefusedTitle: "No call from here",
  voiceRefusedPageText: "This page may not start calls.",
  voiceRefusedTokenText: "This button is not in use.",
  voiceRefusedLimitText: "All calls of this button are used up.",
  voiceRefusedSocketText: "The call was not let in. Try again.",
  voiceTooManyTitle: "Too many calls",
  voiceTooManyText: "Wait a minute, then try again.",
  voiceBusyTitle: "All lines are busy",
  voiceBusyText: "Try again in a moment.",
  voiceMicrophoneAskText: "Allow the microphone if your browser asks.",
  voiceMicrophoneTitle: "Microphone needed",
  voiceMicrophoneDeniedText: "Allow it in the address bar, then call again.",
  voiceMicrophoneForbiddenText: "This site does not let the page use it.",
  voiceMicrophoneMissingText: "There is none. Connect one and call again.",
  voiceMicrophoneBusyText: "Another program is using it. Close that one first.",
  voiceMicrophoneInsecureText: "Browsers only give it to pages that came by https.",
  voiceEndCallText: "End call",
  voiceRetryText: "Retry",
  voiceMuteText: "Mute",
  voiceMutedText: "You are muted.",
  voiceSoundText: "Turn the sound on",
  voiceHideText: "Hide the call",
  voiceOnCallText: "On a call",
  voiceLevelLabel: "Your voice",
  voiceSilentText: "silent",
  voiceHeardText: "heard",
  voiceTranscriptLabel: "What is said",
  voiceYouText: "You",
  voiceAgentText: "Agent",
};
const standardButtonText = "Start Voice Call";

/* The words for one widget. `texts` are the gateway's, which hold the settings of the names that it knows. */
function wordsOf({ texts, settings } = {}) {
  const words = { ...standardWords };
  for (const source of [settings, texts]) {
    for (const name of Object.keys(words)) {
      const own = source?.[name];
      if (typeof own === "string" && own.trim()) words[name] = own;
    }
  }
  return words;
}

/* Why there is no call, or none any more: `state` is "refused" where trying again soon is of no use, else "failed". */
class Problem extends Error {
  constructor(state, code, title, detail) {
    super(title);
    Object.assign(this, { state, code, title, detail });
  }
}

/* What the gateway's answer to a page means to people. */
function refusal(words, status, detail) {
  const refused = (code, text, title = words.voiceRefusedTitle) => new Problem("refused", code, title, text);
  if (status === 429) return new Problem("failed", "too_many_sessions", words.voiceTooManyTitle, words.voiceTooManyText);
  if (detail.startsWith("Domain not allowed")) return refused("domain_not_allowed", words.voiceRefusedPageText);
  if (detail.startsWith("Embed token usage limit")) return refused("usage_limit_exceeded", words.voiceRefusedLimitText);
  if (status === 404 || status === 501 || detail.startsWith("Embed token")) return refused("token_not_good", words.voiceRefusedTokenText);
  if (status >= 500) return new Problem("failed", "service_failed", words.voiceServiceTitle, words.voiceServiceText);
  // Without words it is about what was sent, which is the page's doing.
  return refused("refused", detail.trim() || words.voiceRefusedPageText);
}

/* What an `error` message about an offer means to people. Words that are the gateway's own are shown as they are. */
function offerRefusal(words, { error_type, message }) {
  const code = plain(error_type) || "error", text = cut(plain(message), 300);
  switch (code) {
    case "concurrency_limit_exceeded": return new Problem("failed", code, words.voiceBusyTitle, words.voiceBusyText);
    case "server_draining": return new Problem("failed", code, words.voiceServiceTitle, words.voiceRestartText);
    case "embed_token_inactive":
    case "embed_token_expired":
    case "invalid_embed_token": return new Problem("refused", code, words.voiceRefusedTitle, words.voiceRefusedTokenText);
    case "call_minutes_exceeded":
    case "credential_withdrawn":
    case "domain_not_allowed":
    case "insufficient_credits":
    case "invalid_service_key":
    case "quota_exceeded":
    case "service_key_org_mismatch":
    case "user_not_found":
    case "workflow_not_found":
    case "workflow_run_not_found":
    case "workflow_run_workflow_mismatch": return new Problem("refused", code, words.voiceRefusedTitle, text);
  }
  // Nobody could tell, or it was about this one's run or session, of which the next call has another; or a plugin has a code of its own.
  return new Problem("failed", code, words.voiceServiceTitle, text || words.voiceServiceText);
}

/* What the reason of a `call-ended` means to people. Who does not know one shows it as it is. */
function ending(words, reason, wasConnected) {
  const ended = (detail) => ({ state: "ended", title: words.voiceCallEndedTitle, detail, code: reason });
  switch (reason) {
    case "": case "pipeline_finished": return ended(words.voiceCallEndedSubtext);
    case "time_limit": return ended(words.voiceTimeLimitText);
    case "idle": return ended(words.voiceIdleText);
    case "pipeline_failed": return new Problem("failed", reason, words.voiceServiceTitle, words.voiceServiceText);
    case "server_stopped": return new Problem("failed", reason, words.voiceServiceTitle, words.voiceRestartText);
    case "peer_connection_closed": return wasConnected ? lostPath(words, reason) : noPath(words, reason);
  }
  return ended(cut(reason.replaceAll("_", " "), 300));
}

const noPath = (words, code) => new Problem("failed", code, words.voiceConnectionFailedTitle, words.voiceConnectionFailedSubtext);
const lostPath = (words, code) => new Problem("failed", code, words.voiceConnectionLostTitle, words.voiceConnectionLostSubtext);
const unreachable = (words, code) => new Problem("failed", code, words.voiceUnreachableTitle, words.voiceUnreachableText);

const plain = (value) => typeof value === "string" ? value : "";
const cut = (text, length) => text.length > length ? text.slice(0, length) + "…" : text;
