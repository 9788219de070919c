// The recorder: from the microphone or a file to a text with times, which can be listened to word by word and saved as subtitles.

import { $, ask, choose, copy, counted, download, Failure, make, Work } from "./shared.js";
import { Live } from "./live.js";
import { asBase64, asWav, decoded, Microphone } from "./sound.js";
import { cuesOf, srt, vtt } from "./subtitles.js";

const UNSURE = 0.5; // words that are less probable are marked

const shown = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

export function start(models, limits) {
  const work = new Work("recorder");
  const record = $("recorder-record"), text = $("recorder-text"), player = $("recorder-player");
  let microphone = null, live = null, samples = null, name = "recording", cues = [], words = [];
  choose($("recorder-model"), models, (model) => model.id);
  const model = () => models.find((one) => one.id === $("recorder-model").value);
  const rate = () => model().sample_rate ?? 16000;

  function clear() {
    text.replaceChildren();
    $("recorder-result").hidden = true;
    [cues, words] = [[], []];
  }

  async function begin() {
    clear();
    name = "recording";
    const block = (samples) => {
      $("recorder-level").value = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
      $("recorder-time").textContent = shown(microphone ? microphone.blocks.reduce((sum, one) => sum + one.length, 0) / microphone.rate : 0);
      live?.say(samples);
    };
    let stopped;
    const is_over = new Promise((resolve) => (stopped = resolve));
    const is_done = await work.run("Waiting for the microphone …", async (signal) => {
      signal.addEventListener("abort", () => stopped(false));
      try {
        microphone = await Microphone.open(rate(), block);
        if (signal.aborted) return;
        state(true, stopped);
        if (model().streams)
          live = await Live.open(model().id, microphone.rate, (said) => (text.textContent = said), signal);
        live?.final.catch(() => null).then(() => stopped(true)); // it may end first: there is a limit
        work.say(live ? "Listening: words appear as they are said." : "Recording. The text comes when you stop.");
        if (!(await is_over) || signal.aborted) return;
        work.say("Writing the text …");
        const rest = microphone.rest();
        live?.say(rest);
        samples = await microphone.samples(rate());
        const found = await live?.end().catch(() => null);
        if (live && !found) work.say("The service has stopped listening. Writing the text of the whole recording …");
        if (found) show(found);
        else await transcribe(signal);
      } finally {
        state(false);
        await microphone?.close();
        [microphone, live] = [null, null];
      }
    });
    if (is_done) said();
  }

  function state(is_on, stopped = null) {
    record.textContent = is_on ? "Stop" : "Record";
    record.setAttribute("aria-pressed", String(is_on));
    record.onclick = is_on ? () => stopped(true) : begin;
    $("recorder-meter").hidden = !is_on;
  }

  async function transcribe(signal) {
    const wav = asWav(samples, rate());
    if ((wav.size * 4) / 3 + 1000 > limits.max_body) {
      const most = Math.floor((limits.max_body * 0.75) / rate() / 2 / 60);
      throw new Failure(`The recording is longer than the ${counted(most, "minute")} that this service takes. Cut it into parts.`);
    }
    const inputs = [{ [model().columns[0]]: { base64: await asBase64(wav) } }];
    const { predictions } = await ask("v1/predict", { model: model().id, inputs, aligned: true }, signal);
    show({ ...predictions[0], text: predictions[0].prediction });
  }

  const said = () => work.say(words.length ? `${counted(words.length, "word")} written.` : "Nothing was said.");

  async function open(file) {
    clear();
    name = file.name.replace(/\.[^.]*$/u, "");
    const is_done = await work.run("Reading the recording …", async (signal) => {
      samples = await decoded(file, rate());
      if (signal.aborted) return;
      work.say(`Transcribing ${shown(samples.length / rate())} …`);
      await transcribe(signal);
    });
    if (is_done) said();
  }

  function show(found) {
    words = found.words ?? [];
    const has_times = words.length > 0 && words.every((word) => word.start !== undefined);
    cues = cuesOf(words, found.segments?.length ? found.segments : [{ start: 0, end: samples.length / rate(), text: found.text }]);
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(asWav(samples, rate()));
    const spans = words.map((word) => {
      const is_unsure = word.confidence !== undefined && word.confidence < UNSURE;
      const title = [has_times ? `${shown(word.start)} to ${shown(word.end)}` : "", is_unsure ? "unsure" : ""].filter(Boolean).join(", ");
      const span = make("span", { class: is_unsure ? "word unsure" : "word", title }, word.word);
      if (has_times) span.onclick = () => play(word.start);
      return span;
    });
    text.replaceChildren(...(spans.length ? spans.flatMap((span) => [span, " "]) : [found.text]));
    player.ontimeupdate = () => spans.forEach((span, number) => {
      const { start, end } = words[number];
      span.classList.toggle("lit", has_times && !player.paused && start <= player.currentTime && player.currentTime < end);
    });
    $("recorder-unsure").hidden = !spans.some((span) => span.classList.contains("unsure"));
    $("recorder-rows").replaceChildren(
      ...cues.map(({ start, end, text }) => {
        const button = make("button", { type: "button", class: "plain", "aria-label": `Play from ${shown(start)}` }, shown(start));
        button.onclick = () => play(start);
        return make("tr", {}, make("td", {}, button), make("td", {}, shown(end)), make("td", { dir: "auto" }, text));
      }),
    );
    $("recorder-result").hidden = !found.text;
  }

  function play(second) {
    player.currentTime = second;
    player.play();
  }

  $("recorder-file").onchange = ({ target }) => {
    if (target.files.length) open(target.files[0]);
    target.value = "";
  };
  $("recorder-copy").onclick = () => copy($("recorder-copy"), text.textContent.trim());
  $("recorder-txt").onclick = () => download(`${name}.txt`, `${text.textContent.trim()}\n`, "text/plain");
  $("recorder-srt").onclick = () => download(`${name}.srt`, srt(cues), "application/x-subrip");
  $("recorder-vtt").onclick = () => download(`${name}.vtt`, vtt(cues), "text/vtt");
  $("recorder-model").onchange = clear;
  state(false);
}
