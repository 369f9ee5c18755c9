// The device test: camera picture, microphone level, speaker tone, connection. Nothing leaves the device but a result code.
"use strict";
(() => {
  const root = document.querySelector("[data-device-test]");
  if (!root) return;

  const LISTEN_MS = 6000;
  const PICTURE_MS = 5000;
  const LOUD = 0.02;
  const MIRROR_MS = 20000;
  const PROBES = 4;
  const SLOW_MS = 1000;
  const find = (selector) => root.querySelector(selector);
  const start = find("[data-start]");
  const halt = find("[data-stop]");
  const level = find("[data-level]");
  const picture = find("[data-picture]");
  let stream;
  let audio;
  let stopped = false;
  let looking;

  find("[data-no-script]").hidden = true;
  find("[data-needs-script]").hidden = false;

  const verdict = (device, state) => {
    const place = find(`[data-device="${device}"] [data-verdict]`);
    place.textContent = place.dataset[state] || "";
    place.dataset.state = state;
  };

  const stop = () => {
    for (const track of stream ? stream.getTracks() : []) track.stop();
    stream = undefined;
    picture.srcObject = null;
    picture.hidden = true;
    level.hidden = true;
    level.value = 0;
    find("[data-say]").hidden = true;
  };
  // Teams needs the devices next.
  addEventListener("pagehide", stop);
  document.addEventListener("submit", stop);

  // After the result nothing listens any more; the picture stays for a look in the mirror, and goes by itself.
  const finish = () => {
    clearTimeout(looking);
    stop();
    halt.hidden = true;
  };
  const rest = () => {
    if (stopped || picture.hidden) return finish();
    for (const track of stream.getAudioTracks()) track.stop();
    level.hidden = true;
    find("[data-say]").hidden = true;
    looking = setTimeout(finish, MIRROR_MS);
  };

  // Not waited for: without a working speaker it never answers, and the microphone can be tested all the same.
  const wake = () => {
    audio = audio || new AudioContext();
    audio.resume().catch(() => {});
  };

  const open = async () => {
    // One question for both; when one of them is missing, the other is still tested.
    const media = navigator.mediaDevices;
    try {
      return { stream: await media.getUserMedia({ audio: true, video: { facingMode: "user" } }) };
    } catch (error) {
      if (error.name === "NotAllowedError" || error.name === "SecurityError") return { refused: true };
    }
    for (const one of [{ audio: true }, { video: true }]) {
      try {
        return { stream: await media.getUserMedia(one) };
      } catch (error) {
        if (error.name === "NotAllowedError") return { refused: true };
      }
    }
    return { stream: new MediaStream() };
  };

  const camera = async () => {
    if (!stream.getVideoTracks().length) return false;
    picture.srcObject = stream;
    picture.hidden = false;
    // A camera that another program holds opens and gives no picture: it plays never, and does not fail either.
    const tooLate = new Promise((resolve) => setTimeout(() => resolve(false), PICTURE_MS));
    return Promise.race([picture.play().then(() => true, () => false), tooLate]);
  };

  const microphone = async () => {
    if (!stream.getAudioTracks().length) return "missing";
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    level.hidden = false;
    find("[data-say]").hidden = false;
    const deadline = performance.now() + LISTEN_MS;
    let loudest = 0;
    return new Promise((resolve) => {
      const listen = () => {
        if (!stream) return resolve("silent");
        analyser.getFloatTimeDomainData(samples);
        const now = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
        loudest = Math.max(loudest, now);
        level.value = Math.min(1, now * 6);
        if (loudest >= LOUD) resolve("good");
        if (performance.now() > deadline) resolve("silent");
        setTimeout(listen, 100);
      };
      listen();
    });
  };

  const connection = async () => {
    const times = [];
    try {
      for (let probe = 0; probe < PROBES; probe += 1) {
        const begun = performance.now();
        const answer = await fetch(root.dataset.asset, { cache: "no-store" });
        if (!answer.ok) return false;
        await answer.arrayBuffer();
        times.push(performance.now() - begun);
      }
    } catch {
      return false;
    }
    return times.sort((a, b) => a - b)[1] < SLOW_MS;
  };

  const tell = (result) => {
    for (const outcome of root.querySelectorAll("[data-outcome]")) outcome.hidden = outcome.dataset.outcome !== result;
    root.dataset.result = result;
    if (!root.dataset.resultUrl) return;
    fetch(root.dataset.resultUrl, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ result }),
      keepalive: true,
    }).catch(() => {});
  };

  const check = async () => {
    if (!navigator.mediaDevices || !window.AudioContext) return "unsupported";
    stop();
    wake();
    for (const device of ["camera", "microphone", "connection"]) verdict(device, "checking");
    const connecting = connection();
    const opened = await open();
    const connected = await connecting;
    verdict("connection", connected ? "good" : "bad");
    if (opened.refused) {
      verdict("camera", "bad");
      verdict("microphone", "bad");
      return "refused";
    }
    stream = opened.stream;
    if (stopped) return "stopped";
    const seen = await camera();
    verdict("camera", seen ? "good" : "bad");
    if (stopped) return "stopped";
    const heard = await microphone();
    verdict("microphone", heard === "good" ? "good" : "bad");
    if (heard === "missing") return "no_microphone";
    if (!seen) return "no_camera";
    if (heard === "silent") return "silent";
    return connected ? "passed" : "no_connection";
  };

  start.addEventListener("click", async () => {
    if (root.hasAttribute("aria-busy")) return;
    root.setAttribute("aria-busy", "true");
    stopped = false;
    clearTimeout(looking);
    halt.hidden = false;
    for (const outcome of root.querySelectorAll("[data-outcome]")) outcome.hidden = true;
    find("[data-list]").hidden = false;
    let result;
    try {
      result = await check();
    } catch {
      result = "unsupported";
    }
    rest();
    root.removeAttribute("aria-busy");
    start.textContent = start.dataset.again;
    if (!stopped) return tell(result);
    for (const device of ["camera", "microphone", "connection"]) verdict(device, "");
  });
  halt.addEventListener("click", () => {
    stopped = true;
    finish();
    start.focus();
  });

  // -- Speaker: only the person can tell

  find("[data-tone]").addEventListener("click", () => {
    wake();
    const gain = audio.createGain();
    gain.connect(audio.destination);
    for (const [index, frequency] of [523.25, 659.25, 783.99].entries()) {
      const begin = audio.currentTime + index * 0.3;
      const tone = audio.createOscillator();
      tone.frequency.value = frequency;
      tone.connect(gain);
      tone.start(begin);
      tone.stop(begin + 0.25);
    }
    gain.gain.value = 0.25;
    find("[data-heard]").hidden = false;
  });
  const heard = (yes) => {
    const place = find('[data-device="speaker"] [data-verdict]');
    const words = find('[data-device="camera"] [data-verdict]').dataset;
    place.textContent = yes ? words.good : words.bad;
    place.dataset.state = yes ? "good" : "bad";
    find('[data-advice="silent-speaker"]').hidden = yes;
  };
  find("[data-yes]").addEventListener("click", () => heard(true));
  find("[data-no]").addEventListener("click", () => heard(false));
})();
