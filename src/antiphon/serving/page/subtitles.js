// Subtitles of words with times: cues of at most two lines of 42 letters, 7 seconds long, that end where nobody speaks for a second.

const LINE = 42, LINES = 2, LONGEST = 7, SILENCE = 1;

/** Cues, `{start, end, text}`, of words (`word`, `start`, `end`), or of segments (`text`, `start`, `end`) where words have no times. */
export function cuesOf(words, segments = []) {
  if (!words?.length || words.some((word) => word.start === undefined))
    return segments.filter((one) => one.text).map(({ start, end, text }) => ({ start, end: Math.min(end, start + Math.max(LONGEST, text.length / 10)), text }));
  const groups = [];
  for (const word of words) {
    const group = groups.at(-1);
    if (group && word.end - group[0].start <= LONGEST && word.start - group.at(-1).end <= SILENCE && lines(textOf([...group, word])).length <= LINES) group.push(word);
    else groups.push([word]);
  }
  return groups.map((group) => ({ start: group[0].start, end: Math.max(group.at(-1).end, group[0].start), text: textOf(group) }));
}

const textOf = (words) => words.map(({ word }) => word).join(" ");

function lines(text) {
  const found = [];
  for (const word of text.split(/\s+/u)) {
    const last = found.at(-1);
    if (last !== undefined && `${last} ${word}`.length <= LINE) found[found.length - 1] = `${last} ${word}`;
    else found.push(word);
  }
  return found;
}

/** Seconds as 00:00:00,000. */
function clock(seconds, point) {
  const total = Math.round(Math.max(0, seconds) * 1000);
  const part = (value, digits = 2) => String(value).padStart(digits, "0");
  return `${part(Math.floor(total / 3_600_000))}:${part(Math.floor(total / 60_000) % 60)}:${part(Math.floor(total / 1000) % 60)}${point}${part(total % 1000, 3)}`;
}

/** A file in the format of SubRip. */
export const srt = (cues) =>
  cues.map(({ start, end, text }, number) => `${number + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${lines(text).join("\n")}\n`).join("\n");

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A file in the format of WebVTT. */
export const vtt = (cues) =>
  ["WEBVTT\n", ...cues.map(({ start, end, text }) => `${clock(start, ".")} --> ${clock(end, ".")}\n${escaped(lines(text).join("\n"))}\n`)].join("\n");
