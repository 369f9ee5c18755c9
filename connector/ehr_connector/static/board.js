// The clinician's pages: live status, the repeated alert while a patient waits, and copying. Nothing is kept in the browser.
"use strict";
(() => {
  const board = document.querySelector("[data-stream]");
  if (!board) return;

  const RECONNECT_MS = [1000, 2000, 5000, 10000, 20000];
  const ALERT_AGAIN_MS = 30000;
  const offline = board.querySelector("[data-offline]");
  const live = board.querySelector("[data-live]");
  const waiting = board.querySelector("[data-waiting]");

  // -- Live status

  let failures = 0;
  let stream;
  const listen = () => {
    stream = new EventSource(board.dataset.stream);
    stream.addEventListener("open", () => {
      failures = 0;
      if (offline) offline.hidden = true;
    });
    stream.addEventListener("status", (event) => show(JSON.parse(event.data)));
    stream.addEventListener("reload", () => location.reload());
    stream.addEventListener("signed-in", () => location.reload());
    stream.addEventListener("error", () => {
      // EventSource retries by itself only while the answers are good; a replica that restarts answers 502 for a moment.
      stream.close();
      if (offline) offline.hidden = false;
      const pause = RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)];
      failures += 1;
      setTimeout(listen, pause * (0.75 + Math.random() / 2));
    });
  };
  listen();
  addEventListener("pagehide", () => stream.close());

  const show = (status) => {
    const card = board.querySelector(`[data-visit="${CSS.escape(status.visit)}"]`);
    if (!card) return;
    const before = card.dataset.stage;
    card.dataset.stage = status.stage;
    card.toggleAttribute("data-alert", status.alert);
    if (!status.alert) handled.delete(status.visit);
    set(card, "text", status.text);
    set(card, "sent", status.sent);
    set(card, "device_test", status.device_test);
    const time = card.querySelector("[data-since]");
    time.dateTime = status.since || "";
    time.textContent = status.since_text || "";
    card.querySelector('[data-field="since"]').hidden = !status.since;
    // One sentence for a change of stage; what is only repeated is not read out again.
    if (before !== status.stage && live) live.textContent = status.text;
    alarm();
  };

  const set = (card, name, text) => {
    const field = card.querySelector(`[data-field="${name}"]`);
    field.textContent = text || "";
    field.hidden = !text;
  };

  // -- A patient waits: shown until somebody handles it, and again when it lasts

  const handled = new Map();
  const alarm = () => {
    if (!waiting) return;
    const now = Date.now();
    const unhandled = [...board.querySelectorAll("[data-visit][data-alert]")].filter(
      (card) => now - (handled.get(card.dataset.visit) ?? -Infinity) >= ALERT_AGAIN_MS,
    );
    const was = waiting.hidden;
    waiting.hidden = unhandled.length === 0;
    if (was && !waiting.hidden && live) live.textContent = waiting.querySelector("p").textContent;
  };
  const handle = () => {
    for (const card of board.querySelectorAll("[data-visit][data-alert]")) handled.set(card.dataset.visit, Date.now());
    alarm();
  };
  if (waiting) {
    waiting.querySelector("[data-handled]").addEventListener("click", handle);
    for (const form of board.querySelectorAll('form[action$="/join"]')) form.addEventListener("submit", handle);
    setInterval(alarm, 1000);
    alarm();
  }

  // -- Copying; a frame of another origin may not use the clipboard's own interface, so the older one is the second try

  const copy = async (input) => {
    try {
      await navigator.clipboard.writeText(input.value);
      return true;
    } catch {
      input.select();
      return document.execCommand("copy");
    }
  };
  for (const place of board.querySelectorAll("[data-copy]")) {
    const button = place.querySelector("button");
    const input = place.querySelector("input");
    const told = place.querySelector(".copied");
    button.hidden = false;
    input.addEventListener("focus", () => input.select());
    button.addEventListener("click", async () => {
      if (!(await copy(input))) return input.focus();
      told.textContent = told.dataset.text;
      setTimeout(() => (told.textContent = ""), 4000);
      if (place.dataset.tell) {
        fetch(place.dataset.tell, { method: "POST", body: new URLSearchParams({ csrf: place.dataset.csrf }), keepalive: true });
      }
    });
  }
})();
