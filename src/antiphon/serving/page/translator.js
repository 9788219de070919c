// The translator: sentences are translated one by one as they come, words of both sides are linked, and each sentence has alternatives.

import { $, choose, copy, counted, Failure, make, moreFields, predictions, shortened, Work } from "./shared.js";
import { Linked, pairsOf, wordsOf } from "./words.js";

const MOST_ALTERNATIVES = 4;
const PAUSE = 600; // milliseconds without a key that count as a pause

/** Sentences of a text, with their places; a line end always parts two. */
export function sentencesOf(text, language) {
  let segments;
  try {
    segments = new Intl.Segmenter(language, { granularity: "sentence" });
  } catch {
    segments = new Intl.Segmenter("en", { granularity: "sentence" });
  }
  const found = [];
  for (const line of text.matchAll(/[^\r\n]+/gu))
    for (const { segment, index } of segments.segment(line[0])) {
      const body = segment.trim();
      if (!body) continue;
      const start = line.index + index + segment.indexOf(body);
      found.push({ start, end: start + body.length, text: body });
    }
  return found;
}

/** Settings of the search that give alternatives; none where the model's search has none. */
export function manyBest(search, most) {
  if (!["beam", "greedy"].includes(search.name)) return {};
  const n_best = Math.min(MOST_ALTERNATIVES, most);
  return { name: "beam", n_best, beam_size: Math.min(most, Math.max(n_best, search.beam_size ?? 1)) };
}

const named = ({ id, languages }) => (languages ? `${languages.source.name} → ${languages.target.name}` : id);

export function start(models, limits) {
  const work = new Work("translator");
  const known = new Map(); // of a model and a sentence, so that only what has changed is asked for
  let sentences = []; // of the translation that is shown: their places on both sides, their predictions, and which one is chosen
  let timer = 0;
  let more = () => ({}); // what else the model needs of each sentence, such as its domain
  const source = $("translator-source"), target = $("translator-target");
  const linked = new Linked(
    [source, $("translator-source-mirror")],
    [target, $("translator-target-mirror")],
    (text) => ($("translator-links").textContent = text),
    (number) => showOthers(linked.target.words[number].sentence),
  );
  choose($("translator-model"), models, named);
  const model = () => models.find((one) => one.id === $("translator-model").value);
  const reverse = () => {
    const { languages } = model();
    return languages && models.find((one) => one.languages?.source.code === languages.target.code && one.languages.target.code === languages.source.code);
  };

  function changed() {
    const { languages } = model();
    source.lang = languages?.source.code ?? "";
    target.lang = languages?.target.code ?? "";
    $("translator-source-name").textContent = languages?.source.name ?? "Text";
    $("translator-target-name").textContent = languages?.target.name ?? "Translation";
    $("translator-swap").hidden = !reverse();
    more = moreFields($("translator-more"), model().columns.slice(1));
    if (source.value.trim()) translate();
  }

  async function translate() {
    clearTimeout(timer);
    const text = source.value, chosen = model();
    const parts = sentencesOf(text, chosen.languages?.source.code);
    if (!parts.length) {
      work.abort?.abort();
      work.say("");
      return show(text, []);
    }
    const beside = more(), key = (part) => JSON.stringify([chosen.id, beside, part.text]);
    const missing = [...new Map(parts.filter((part) => !known.has(key(part))).map((part) => [key(part), part])).entries()];
    const is_done = await work.run("Translating …", async (signal) => {
      let done = parts.length - missing.length;
      for (let first = 0; first < missing.length; first += limits.max_records) {
        const some = missing.slice(first, first + limits.max_records);
        const inputs = some.map(([, part]) => ({ ...beside, [chosen.columns[0]]: part.text }));
        const asked = { model: chosen.id, inputs, search: manyBest(chosen.search, limits.max_beam), aligned: true };
        for await (const [index, prediction] of predictions(asked, signal)) {
          known.set(some[index][0], prediction);
          if (text !== source.value) continue; // another one is on its way
          work.step(++done, parts.length);
          show(text, parts.filter((part) => known.has(key(part))).map((part) => ({ ...part, found: known.get(key(part)) })));
        }
      }
      if (!missing.length) show(text, parts.map((part) => ({ ...part, found: known.get(key(part)) })));
    });
    if (!is_done) return;
    const wrong = sentences.find((one) => one.found.error);
    if (wrong) work.fail(new Failure(`“${shortened(wrong.text)}” cannot be translated: ${wrong.found.error}`));
    else work.say(`${counted(parts.length, "sentence")} translated.`);
  }

  /** Show what is there of a translation; white space between sentences is that of the source. */
  function show(text, parts) {
    let said = "", end = 0;
    const pairs = [], sourceWords = [], targetWords = [];
    sentences = parts.map((part, sentence) => {
      const options = [part.found, ...(part.found.alternatives ?? [])];
      const option = options[part.choice ?? 0];
      said += sentence === 0 ? "" : text.slice(end, part.start).replace(/[^\s]+/gu, "");
      end = part.end;
      const start = said.length, [before, behind] = [sourceWords.length, targetWords.length];
      said += option.error ? `[${part.text}]` : option.prediction;
      sourceWords.push(...wordsOf(part.text).map((word) => ({ start: word.start + part.start, end: word.end + part.start, sentence })));
      targetWords.push(...wordsOf(said.slice(start)).map((word) => ({ start: word.start + start, end: word.end + start, sentence })));
      pairs.push(...pairsOf(option.word_alignment).map(([one, other]) => [one + before, other + behind]));
      return { ...part, options, choice: part.choice ?? 0 };
    });
    linked.show(sourceWords, said, targetWords, pairs);
    $("translator-copy").disabled = !said;
    showOthers(0);
  }

  function showOthers(number) {
    const sentence = sentences[number], list = $("translator-others-list");
    $("translator-others").hidden = !sentence || sentence.options.length < 2;
    if ($("translator-others").hidden) return list.replaceChildren();
    $("translator-others-for").textContent = sentences.length > 1 ? `Sentence ${number + 1} of ${sentences.length}: ${sentence.text}` : "";
    const current = new Set(wordsOf(sentence.options[sentence.choice].prediction).map(({ start, end }) => sentence.options[sentence.choice].prediction.slice(start, end)));
    list.replaceChildren(
      ...sentence.options.map((option, choice) => {
        const words = option.prediction.split(/(\s+)/u).map((word) => (!word.trim() || current.has(word) ? word : make("b", {}, word)));
        const button = make("button", { type: "button", class: "option", lang: target.lang, "aria-pressed": String(choice === sentence.choice) }, ...words);
        button.onclick = () => {
          show(source.value, sentences.map((one, other) => (other === number ? { ...one, choice } : one)));
          showOthers(number);
          list.querySelectorAll("button")[choice].focus();
        };
        return make("li", {}, button);
      }),
    );
  }

  source.addEventListener("input", () => {
    clearTimeout(timer);
    linked.forget();
    $("translator-count").textContent = source.value ? counted([...source.value].length, "character") : "";
    if ($("translator-typing").checked) timer = setTimeout(translate, PAUSE);
  });
  source.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && translate());
  $("translator-more").onchange = () => $("translator-typing").checked && translate();
  $("translator-go").onclick = translate;
  $("translator-model").onchange = changed;
  $("translator-copy").onclick = () => copy($("translator-copy"), target.value);
  $("translator-clear").onclick = () => {
    source.value = "";
    source.dispatchEvent(new Event("input"));
    translate();
    source.focus();
  };
  $("translator-swap").onclick = () => {
    source.value = target.value || source.value;
    $("translator-model").value = reverse().id;
    changed();
  };
  changed();
}
