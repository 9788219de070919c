// Texts whose words are lit: a text area, and behind it a mirror with the same words in the same places, which carries the colours.
// So both sides stay plain text fields, which every keyboard and screen reader knows.

/** The words of a text: what white space parts, as the service counts them. */
export const wordsOf = (text) => [...text.matchAll(/\S+/gu)].map((found) => ({ start: found.index, end: found.index + found[0].length }));

/** Links as the service writes them, `0-0 1-2`, as pairs. */
export const pairsOf = (alignment) =>
  (alignment ?? "").split(" ").filter(Boolean).map((link) => link.split("-").map(Number));

export class LitText {
  /** `onWord(number, how)` hears of the word at the pointer or the cursor, -1 where there is none; `how` is "pointer" or "cursor". */
  constructor(area, mirror, onWord) {
    this.area = area;
    this.mirror = mirror;
    this.words = [];
    this.spans = [];
    if (area.getAttribute("aria-readonly") === "true") area.addEventListener("beforeinput", (event) => event.preventDefault());
    area.addEventListener("pointermove", (event) => onWord(this.#under(event), "pointer"));
    area.addEventListener("pointerleave", () => onWord(-1, "pointer"));
    const moved = () => document.activeElement === area && onWord(this.#at(area.selectionStart), "cursor");
    for (const kind of ["keyup", "focus", "click"]) area.addEventListener(kind, moved);
    area.addEventListener("blur", () => onWord(-1, "cursor"));
    area.addEventListener("input", () => this.grow());
    new ResizeObserver(() => this.grow()).observe(mirror.parentElement);
  }

  get text() {
    return this.area.value;
  }

  /** Show a text, or keep the one that is there, with words that have `start`, `end` and perhaps a `mark`, the name of a class. */
  show(words, text = this.area.value) {
    if (this.area.value !== text) this.area.value = text;
    this.words = words;
    this.spans = words.map((word) => {
      const span = document.createElement("span");
      span.textContent = text.slice(word.start, word.end);
      if (word.mark) span.className = word.mark;
      return span;
    });
    const parts = [];
    let end = 0;
    words.forEach((word, number) => {
      parts.push(text.slice(end, word.start), this.spans[number]);
      end = word.end;
    });
    this.mirror.replaceChildren(...parts, text.slice(end));
    this.grow();
  }

  /** Light some words, and no others. */
  light(numbers, kind = "lit") {
    const wanted = new Set(numbers);
    this.spans.forEach((span, number) => span.classList.toggle(kind, wanted.has(number)));
  }

  /** As high as the text needs. */
  grow() {
    this.area.style.height = "auto";
    this.area.style.height = `${this.area.scrollHeight}px`;
  }

  #under(event) {
    for (const [number, span] of this.spans.entries())
      for (const box of span.getClientRects())
        if (event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom) return number;
    return -1;
  }

  #at(place) {
    return this.words.findIndex((word) => word.start <= place && place <= word.end);
  }
}

/** Two texts side by side: a word of one lights those that it is linked with, and `told(text)` hears of it where the cursor moves. */
export class Linked {
  constructor(sourceNodes, targetNodes, told, onTarget = () => {}) {
    this.pairs = [];
    this.cursor = null;
    this.told = told;
    this.source = new LitText(...sourceNodes, (number, how) => this.#at(0, number, how));
    this.target = new LitText(...targetNodes, (number, how) => {
      this.#at(1, number, how);
      if (number >= 0) onTarget(number, how);
    });
  }

  /** Show the words of both sides with their links, pairs of word numbers. */
  show(sourceWords, targetText, targetWords, pairs) {
    this.pairs = pairs;
    this.source.show(sourceWords);
    this.target.show(targetWords, targetText);
    this.#light(null);
  }

  /** Forget the links, as the source has changed. */
  forget() {
    this.pairs = [];
    this.source.show([]);
    this.target.light([]);
    this.told("");
  }

  #at(side, number, how) {
    const place = number < 0 ? null : [side, number];
    if (how === "cursor") {
      this.cursor = place;
      this.told(place === null ? "" : this.#said(place));
    }
    this.#light(place ?? this.cursor);
  }

  #linked([side, number]) {
    return this.pairs.filter((pair) => pair[side] === number).map((pair) => pair[1 - side]);
  }

  #light(place) {
    const lit = [[], []];
    if (place !== null) {
      const others = this.#linked(place);
      lit[place[0]] = others.length ? [place[1]] : [];
      lit[1 - place[0]] = others;
    }
    this.source.light(lit[0]);
    this.target.light(lit[1]);
  }

  #said(place) {
    const sides = [this.source, this.target];
    const word = (side, number) => {
      const { start, end } = sides[side].words[number];
      return sides[side].text.slice(start, end);
    };
    const others = this.#linked(place).map((number) => word(1 - place[0], number));
    return others.length ? `${word(...place)} – ${others.join(", ")}` : "";
  }
}
