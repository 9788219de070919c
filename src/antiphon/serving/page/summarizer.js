// The summarizer: how long a summary is to be, and which of its words were taken from the document.

import { $, ask, choose, copy, counted, Failure, moreFields, Work } from "./shared.js";
import { Linked, pairsOf, wordsOf } from "./words.js";

const REWARDS = [-1.5, -0.6, 0, 0.6, 1.5]; // for each symbol, where a model has not learned lengths
const REWARD_NAMES = ["much shorter", "shorter", "as the model would", "longer", "much longer"];

/** What the slider offers for a model: for each of its places a name, and what is asked for there. */
export function lengthsOf(model) {
  const bounds = model.about.lengths ?? [];
  if (bounds.length) {
    const places = bounds.map((bound, number) => {
      const first = number ? bounds[number - 1] + 1 : 1;
      return { name: first < bound ? `${first} to ${bound} words` : counted(bound, "word"), record: { length: bound }, search: {} };
    });
    places.push({ name: `more than ${counted(bounds.at(-1), "word")}`, record: { length: bounds.at(-1) + 1 }, search: {} });
    return { places, usual: Math.floor(places.length / 2) };
  }
  if (model.search.name !== "beam") return { places: [{ name: "as the model would", record: {}, search: {} }], usual: 0 };
  const places = REWARDS.map((length_reward, number) => ({
    name: REWARD_NAMES[number],
    record: {},
    search: length_reward ? { length_reward, ...(model.search.length_penalty === "average" ? { length_penalty: "none" } : {}) } : {},
  }));
  return { places, usual: 2 };
}

/** A word without what stands around it, to compare it with others. */
const bare = (word) => word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");

/** Pairs of word numbers, document by summary: what the model says that it copied, or else words that stand in both. */
function taken(document, summary, copied) {
  if (copied) return copied.map(({ word, source_word }) => [source_word, word]);
  const places = new Map();
  document.forEach((word, number) => places.has(bare(word)) || places.set(bare(word), number));
  return summary.map((word, number) => [places.get(bare(word)), number]).filter(([place, number]) => place !== undefined && bare(summary[number]));
}

export function start(models) {
  const work = new Work("summarizer");
  const source = $("summarizer-source"), target = $("summarizer-target"), slider = $("summarizer-length");
  const linked = new Linked(
    [source, $("summarizer-source-mirror")],
    [target, $("summarizer-target-mirror")],
    (text) => ($("summarizer-links").textContent = text),
  );
  choose($("summarizer-model"), models, (model) => model.id);
  const model = () => models.find((one) => one.id === $("summarizer-model").value);
  let more = () => ({}); // what else the model needs of a document, such as its kind
  const length = () => lengthsOf(model()).places[slider.value];

  function changed() {
    const { places, usual } = lengthsOf(model());
    slider.max = places.length - 1;
    slider.value = usual;
    slider.disabled = places.length < 2;
    more = moreFields($("summarizer-more"), model().columns.slice(1));
    named();
  }

  function named() {
    $("summarizer-length-name").textContent = length().name;
    slider.setAttribute("aria-valuetext", length().name);
  }

  const summarize = () =>
    work.run("Summarizing …", async (signal) => {
      const text = source.value, chosen = model(), { record, search } = length();
      if (!text.trim()) throw new Failure("There is no document yet. Paste one, or open a file.");
      const inputs = [{ ...more(), [chosen.columns[0]]: text, ...record }];
      const { predictions } = await ask("v1/predict", { model: chosen.id, inputs, search, aligned: true }, signal);
      if (text === source.value) show(text, predictions[0]);
      work.say("Summarized.");
    });

  function show(text, found) {
    const said = found.prediction, [sourceWords, targetWords] = [wordsOf(text), wordsOf(said)];
    const [document, summary] = [sourceWords.map(({ start, end }) => text.slice(start, end)), targetWords.map(({ start, end }) => said.slice(start, end))];
    const copies = taken(document, summary, found.copied_words);
    for (const [one, other] of copies) {
      sourceWords[one].mark = "copied";
      targetWords[other].mark = "copied";
    }
    const copied = new Set(copies.map(([, word]) => word));
    const links = pairsOf(found.word_alignment).filter(([, word]) => !copied.has(word));
    linked.show(sourceWords, said, targetWords, [...copies, ...links]);
    const facts = [`${counted(document.length, "word")} became ${summary.length}`];
    if (copied.size) facts.push(`${copied.size} of them ${found.copied_words ? "copied" : "are in the document, too"}`);
    if (found.source_cut) facts.push(`the last ${counted(found.source_cut, "symbol")} of the document ${found.source_cut === 1 ? "was" : "were"} not read`);
    $("summarizer-facts").textContent = `${facts.join("; ")}.`;
    $("summarizer-legend").hidden = !copied.size;
    $("summarizer-legend").textContent = found.copied_words
      ? "Underlined: words that the model copied from the document, on both sides. Point at a word, or move the cursor to it, to see where it comes from."
      : "Underlined: words of the summary that stand in the document, too. Point at a word, or move the cursor to it, to see where.";
    $("summarizer-copy").disabled = !said;
  }

  source.addEventListener("input", () => {
    linked.forget();
    linked.target.show(wordsOf(target.value));
    $("summarizer-legend").hidden = true;
    $("summarizer-count").textContent = source.value.trim() ? counted(wordsOf(source.value).length, "word") : "";
  });
  source.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && summarize());
  slider.oninput = named;
  slider.onchange = () => target.value && summarize();
  $("summarizer-go").onclick = summarize;
  $("summarizer-model").onchange = changed;
  $("summarizer-copy").onclick = () => copy($("summarizer-copy"), target.value);
  $("summarizer-file").onchange = async ({ target: { files } }) => {
    if (!files.length) return;
    source.value = (await files[0].text()).trim();
    source.dispatchEvent(new Event("input"));
    summarize();
  };
  changed();
}
