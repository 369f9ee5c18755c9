// The clinician's pages: live status, the repeated alert while a patient waits, and copying. Nothing is kept in the browser.
"use strict";
(() => {
  let board = document.querySelector("[data-stream]");
  if (!board) return;

  const RECONNECT_MS = [1000, 2000, 5000, 10000, 20000];
  const ALERT_AGAIN_MS = 30000;
  const find = (selector) => board.querySelector(selector);
  const mayBeHidden = (selector, hidden) => {
    const place = find(selector);
    if (place) place.hidden = hidden;
  };
  const say = (text) => {
    const live = find("[data-live]");
    if (live) live.textContent = text;
  };

  // What came of the last button is told once: not again when the page is loaded anew.
  const address = new URL(location.href);
  if (address.searchParams.has("notice")) {
    address.searchParams.delete("notice");
    history.replaceState(null, "", address);
  }

  // -- Live status

  let failures = 0;
  let stream;
  const listen = () => {
    stream = new EventSource(board.dataset.stream);
    stream.addEventListener("open", () => {
      failures = 0;
      mayBeHidden("[data-offline]", true);
    });
    stream.addEventListener("status", (event) => show(JSON.parse(event.data)));
    stream.addEventListener("reload", renew);
    stream.addEventListener("signed-in", () => location.reload());
    stream.addEventListener("error", again);
  };
  const again = () => {
    // EventSource retries by itself only while the answers are good; a replica that restarts answers 502 for a moment.
    stream.close();
    mayBeHidden("[data-offline]", false);
    const pause = RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)];
    failures += 1;
    setTimeout(listen, pause * (0.75 + Math.random() / 2));
  };
  addEventListener("pagehide", () => stream.close());

  const show = (status) => {
    const card = find(`[data-visit="${CSS.escape(status.visit)}"]`);
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
    count();
    // One sentence for a change of stage; what is only repeated is not read out again.
    if (before !== status.stage) say(status.text);
    alarm();
  };

  const set = (card, name, text) => {
    const field = card.querySelector(`[data-field="${name}"]`);
    field.textContent = text || "";
    field.hidden = !text;
  };

  // -- How long somebody waits: the time itself is the clinic's, the minutes are counted here

  const inMinutes = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "minute", unitDisplay: "short" });
  const count = () => {
    for (const card of board.querySelectorAll("[data-visit]")) {
      const waited = card.querySelector("[data-waited]");
      const since = Date.parse(card.querySelector("[data-since]").dateTime);
      const minutes = Math.floor((Date.now() - since) / 60000);
      waited.hidden = card.dataset.stage !== "in_lobby" || !(minutes >= 1);
      const words = waited.hidden ? "" : waited.dataset.text.replace("{minutes}", inMinutes.format(minutes));
      if (waited.textContent !== words) waited.textContent = words;
    }
  };

  // -- Visits that were moved, or open now: the board is exchanged, and what the clinician had opened stays open

  const renew = async () => {
    stream.close();
    let fresh;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-stream]");
    } catch {
      return again();
    }
    // Anything else than a board, before or after, is another page: one that says why, or the sign-in.
    if (!find("[data-live]") || !fresh || !fresh.querySelector("[data-live]")) return location.reload();
    fresh = document.importNode(fresh, true);
    const focused = board.contains(document.activeElement) ? placeOf(document.activeElement) : null;
    for (const details of board.querySelectorAll("details[id]")) {
      const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (same) same.open = details.open;
    }
    const NOTICE = '.notice[role="status"]';
    const notice = find(NOTICE);
    if (notice && !fresh.querySelector(NOTICE)) fresh.querySelector("h1").after(notice);
    board.replaceWith(fresh);
    board = fresh;
    prepare();
    if (focused) find(focused)?.focus();
    say(find("h1").textContent);
    listen();
  };
  const placeOf = (element) => {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const form = element.closest("form");
    if (form) return `form[action="${CSS.escape(form.getAttribute("action"))}"] button`;
    const details = element.closest("details[id]");
    return details ? `#${CSS.escape(details.id)} summary` : null;
  };

  // -- A patient waits: shown until somebody handles it, and again when it lasts

  const handled = new Map();
  const alarm = () => {
    const waiting = find("[data-waiting]");
    if (!waiting) return;
    const now = Date.now();
    const unhandled = [...board.querySelectorAll("[data-visit][data-alert]")].filter(
      (card) => now - (handled.get(card.dataset.visit) ?? -Infinity) >= ALERT_AGAIN_MS,
    );
    const was = waiting.hidden;
    waiting.hidden = unhandled.length === 0;
    if (was && !waiting.hidden) say(waiting.querySelector("p").textContent);
  };
  const handle = () => {
    for (const card of board.querySelectorAll("[data-visit][data-alert]")) handled.set(card.dataset.visit, Date.now());
    alarm();
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-handled]")) handle();
  });
  document.addEventListener("submit", (event) => {
    if (new URL(event.target.action).pathname.endsWith("/join")) handle();
  });

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
  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-copy] input")) event.target.select();
  });
  document.addEventListener("click", async (event) => {
    const place = event.target.closest("[data-copy] button")?.closest("[data-copy]");
    if (!place) return;
    const input = place.querySelector("input");
    const told = place.querySelector(".copied");
    if (!(await copy(input))) return input.focus();
    told.textContent = told.dataset.text;
    setTimeout(() => (told.textContent = ""), 4000);
    if (place.dataset.tell) {
      fetch(place.dataset.tell, { method: "POST", body: new URLSearchParams({ csrf: place.dataset.csrf }), keepalive: true });
    }
  });

  const prepare = () => {
    for (const button of board.querySelectorAll("[data-copy] button")) button.hidden = false;
    alarm();
    count();
  };

  prepare();
  listen();
  setInterval(() => {
    alarm();
    count();
  }, 1000);
})();
