// The page behind a join link: counts down, lets the button appear when the visit opens, and tells that a person is here.
"use strict";
(() => {
  const live = document.querySelector("[data-live]");
  const language = document.documentElement.lang;
  const skew = Date.parse(document.getElementById("visit").dataset.now) - Date.now();
  const serverNow = () => Date.now() + skew;

  // -- A person is here: the first touch or key that is not made by a script. Scanners and previews make none.

  const openedUrl = document.getElementById("visit").dataset.openedUrl;
  const GESTURES = ["pointerdown", "keydown", "touchstart"];
  const opened = (event) => {
    if (!event.isTrusted) return;
    for (const gesture of GESTURES) removeEventListener(gesture, opened, true);
    fetch(openedUrl, { method: "POST", keepalive: true }).catch(() => {});
  };
  if (openedUrl) for (const gesture of GESTURES) addEventListener(gesture, opened, { capture: true, passive: true });

  // -- The same moment on the reader's own clock, when that differs from the clinic's

  const showLocal = () => {
    const local = document.querySelector("[data-local]");
    if (!local) return;
    const start = new Date(local.dataset.moment);
    const form = { weekday: "long", hour: "numeric", minute: "2-digit" };
    const here = new Intl.DateTimeFormat(language, form).format(start);
    const there = new Intl.DateTimeFormat(language, { ...form, timeZone: local.dataset.zone }).format(start);
    if (here === there) return;
    local.querySelector("[data-local-time]").textContent = here;
    local.hidden = false;
  };

  // -- Countdown: shown each second, read out at a few moments only

  const READ_OUT_MINUTES = [60, 30, 15, 10, 5, 1];
  const inWords = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  const distance = (seconds) => {
    if (seconds >= 172800) return inWords.format(Math.round(seconds / 86400), "day");
    if (seconds >= 7200) return inWords.format(Math.round(seconds / 3600), "hour");
    if (seconds >= 120) return inWords.format(Math.ceil(seconds / 60), "minute");
    return inWords.format(Math.max(0, Math.ceil(seconds)), "second");
  };
  let ticking;
  let unread = [];
  const begin = () => {
    clearInterval(ticking);
    showLocal();
    const countdown = document.querySelector("[data-countdown]");
    if (!countdown) return;
    document.querySelector("[data-without-script]").hidden = true;
    document.querySelector("[data-with-script]").hidden = false;
    const opens = Date.parse(countdown.dataset.opens);
    unread = READ_OUT_MINUTES.filter((minutes) => minutes * 60000 < opens - serverNow());
    const tick = () => {
      const left = (opens - serverNow()) / 1000;
      if (left <= 0) {
        clearInterval(ticking);
        refresh();
        return;
      }
      const words = distance(left);
      if (countdown.textContent !== words) countdown.textContent = words;
      if (unread.length && left <= unread[0] * 60) {
        unread = unread.filter((minutes) => left > minutes * 60);
        live.textContent = `${live.dataset.earlyText} ${words}`;
      }
    };
    tick();
    ticking = setInterval(tick, 1000);
  };

  // -- When it opens, the part of the page that tells about the visit is fetched again; a running device test goes on

  const AGAIN_MS = 10000;
  const SPREAD_MS = 2000;
  const refresh = async () => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * SPREAD_MS));
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("visit");
      const standing = document.getElementById("visit");
      if (fresh && fresh.dataset.access !== standing.dataset.access) {
        standing.replaceWith(document.importNode(fresh, true));
        live.textContent = fresh.dataset.access === "open" ? live.dataset.openText : fresh.querySelector("h1").textContent;
        begin();
        return;
      }
    } catch {
      // Offline for a moment; the next try is below.
    }
    setTimeout(refresh, AGAIN_MS);
  };

  begin();
})();
