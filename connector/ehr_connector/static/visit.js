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
    const named = new Intl.DateTimeFormat(language, { ...form, timeZoneName: "long" }).format(start);
    const there = new Intl.DateTimeFormat(language, { ...form, timeZone: local.dataset.zone }).format(start);
    if (here === there) return;
    local.querySelector("[data-local-time]").textContent = named;
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

  // -- When it opens, and each minute while somebody can see it, the part of the page that tells about the visit is fetched
  // again: it may be moved or cancelled. A running device test goes on.

  const AGAIN_MS = 10000;
  const SPREAD_MS = 2000;
  const LOOK_MS = 60000;
  const UNSETTLED = ["early", "open", "unavailable"];
  const shown = (visit) => ["access", "start", "opens", "moved"].map((name) => visit.dataset[name]).join(" ");
  let looked = Date.now();
  let looking = false;
  const look = async () => {
    if (looking) return false;
    looking = true;
    looked = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("visit");
      const standing = document.getElementById("visit");
      // Nobody knows more than before while the clinic's calendar does not answer.
      if (!fresh || fresh.dataset.access === "unavailable" || shown(fresh) === shown(standing)) return false;
      replace(standing, document.importNode(fresh, true));
      return true;
    } catch {
      return false; // Offline for a moment; there is a next time.
    } finally {
      looking = false;
    }
  };
  const replace = (standing, fresh) => {
    const held = standing.contains(document.activeElement);
    const opens = fresh.dataset.access === "open" && standing.dataset.access === "early";
    standing.replaceWith(fresh);
    live.textContent = opens
      ? live.dataset.openText
      : [fresh.querySelector("h1"), ...fresh.querySelectorAll("[data-told]")].map((one) => one.textContent.trim()).join(" ");
    if (held) {
      const heading = fresh.querySelector("h1");
      heading.tabIndex = -1;
      heading.focus();
    }
    begin();
  };
  const refresh = async () => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * SPREAD_MS));
    if (document.getElementById("visit").dataset.access === "early" && !(await look())) setTimeout(refresh, AGAIN_MS);
  };
  const due = () => !document.hidden && UNSETTLED.includes(document.getElementById("visit").dataset.access);
  // Spread, so that many pages that were opened at the full hour do not ask at once.
  const keepLooking = () => {
    setTimeout(async () => {
      if (due()) await look();
      keepLooking();
    }, LOOK_MS * (0.75 + Math.random() / 2));
  };
  addEventListener("visibilitychange", () => {
    if (due() && Date.now() - looked > LOOK_MS) look();
  });

  begin();
  keepLooking();
})();
