#!/usr/bin/env python3
"""Draw the four pictures of the front page, docs/pictures/front_*.svg, from the models of scripts/gallery.py.

Each shows one record of the test data, which the model never learned from: of texts one that came out best, of recordings the first of
four words that was recognized, of forecasts that whose error is the median. Unusual: the drawings are those of `antiphon report`, set
into pictures of one size.
"""

import json
import re
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from gallery import GALLERY, ROOT, exhibit
from sacrebleu import sentence_chrf

import antiphon
from antiphon.contracts.abilities import Hears
from antiphon.contracts.sequences import Prediction
from antiphon.report.fan_chart import fan_of
from antiphon.report.heat_map import heat_map
from antiphon.report.speech_picture import spectrogram

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT, MARGIN = 440, 230, 12
LETTER = 6.6  # the width of a letter of a document
SPOKEN = 4  # words of the recording
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; fill: #1c2128; }
.head { font-size: 13px; font-weight: 600; } .quiet { font-size: 11.5px; fill: #5c6673; }
.body { font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.said { font-size: 16px; }
.track { fill: #f6f8fa; stroke: #dde2e8; } .cell { fill: #1f5fbf; stroke: #dde2e8; stroke-width: 0.5; }
.piece-label { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.tick { font-size: 12px; fill: #5c6673; } .grid { stroke: #dde2e8; } .marker { stroke: #5c6673; stroke-dasharray: 3 3; }
.band { fill: #1f5fbf; fill-opacity: 0.17; } .past, .happened, .said-line, .repeated { fill: none; stroke-linejoin: round; }
path.past, path.happened { stroke: #1c2128; stroke-width: 1.7; } path.said { fill: none; stroke: #1f5fbf; stroke-width: 2.2; }
path.repeated { stroke: #c2410c; stroke-width: 1.4; stroke-dasharray: 4 3; } .happened-dot { fill: #1c2128; } .column { fill: none; }
.word { fill: #fff; fill-opacity: 0.13; stroke: #fff; stroke-opacity: 0.75; } .word-label { font-size: 14px; } .copied { fill: #dbe7fa; }
"""


def inner(markup: str) -> tuple[str, float, float]:
    """The drawing within a report's figure, without titles to hover over, and its width and height."""
    drawing = re.sub(r"<title>.*?</title>", "", re.search(r"<svg.*</svg>", markup, re.DOTALL)[0])  # type: ignore[index]
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    assert box is not None, "the reports' drawings say how large they are"
    return re.sub(r"^<svg[^>]*>|</svg>$", "", drawing), float(box[1]), float(box[2])


def placed(markup: str, top: float, room: float | None = None) -> str:
    """A report's drawing below `top`, as large as fits."""
    drawing, width, height = inner(markup)
    place = f'x="{MARGIN}" y="{top:g}" width="{WIDTH - 2 * MARGIN}" height="{(room or HEIGHT - top - 6):g}"'
    return f'<svg {place} viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="xMinYMin meet">{drawing}</svg>'


def line(text: str, x: float, y: float, kind: str) -> str:
    """A line of text."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def write(name: str, label: str, *parts: str) -> None:
    """A picture on white, that needs nothing else."""
    shape = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(label)}"'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    content = f'<svg xmlns="http://www.w3.org/2000/svg" {shape}><style>{STYLE}</style>{background}{"".join(parts)}</svg>\n'
    (PICTURES / f"front_{name}.svg").write_text(content, encoding="utf-8")


def best(folder: Path, source: int, prediction: int, enough: float = 100) -> str:
    """A source of the test data, of at most so many characters, as its prediction: of those nearest to their references (whose chrF is
    `enough`, or the highest) the one with the longest prediction."""
    fitting = [item for item in evaluation(folder)["items"] if len(item["source"]) <= source and len(item["prediction"]) <= prediction]

    def quality(item: dict[str, Any]) -> tuple[float, int, int]:
        score = sentence_chrf(item["prediction"], item["references"]).score
        return min(score, enough), len(item["prediction"]), len(item["source"])

    return str(max(fitting, key=quality)["source"])


def evaluation(folder: Path) -> dict[str, Any]:
    """The stored evaluation on test data."""
    (found,) = (folder / "evaluations").glob("*.json")
    return json.loads(found.read_text(encoding="utf-8"))


def translation() -> None:
    """A sentence, and where attention looked for each piece of its translation."""
    folder = exhibit("translation")
    source = best(folder, 60, 52, enough=90)
    said = antiphon.load(folder).with_search({"alignment": True}).predict(source)
    assert said.hypothesis.alignment is not None, "asked for with alignment=True"
    pieces = [[piece.replace("\u2581", "") for piece in said.details[side]] for side in ("source_pieces", "target_pieces")]
    weights = np.asarray(said.hypothesis.alignment)[: len(pieces[1]), : len(pieces[0])]
    drawing = heat_map(weights, pieces[1], pieces[0], "Attention")
    texts = line(source, MARGIN, 24, "head"), line(said.text, MARGIN, 46, "said")
    write("translation", f"Translation: {source} becomes {said.text}", *texts, placed(drawing, 56))


def summarization() -> None:
    """A document with what was copied from it marked, and its heading."""
    folder = exhibit("summarization")
    source = best(folder, 560, 50)
    said = antiphon.load(folder).predict(source)
    assert isinstance(said, Prediction)
    how = zip(said.details["target_pieces"], said.details["copied"], strict=False)
    copied = {piece.lower() for piece, one in how if one["probability"] > 0.5}
    marks, texts, y = list[str](), [line(said.text, MARGIN, 30, "said")], 56.0
    for row in textwrap.wrap(source, int((WIDTH - 2 * MARGIN) / LETTER))[:10]:
        place = 0
        for word in row.split():
            x, width = MARGIN + LETTER * place, LETTER * len(word)
            if re.sub(r"\W", "", word).lower() in copied:
                marks.append(f'<rect class="copied" x="{x - 2:g}" y="{y - 12:g}" width="{width + 4:g}" height="16" rx="3"/>')
            texts.append(f'<text class="body" x="{x:g}" y="{y:g}" textLength="{width:g}">{escape(word)}</text>')
            place += len(word) + 1
        y += 17
    write("summarization", f"Summary: {said.text}", *marks, *texts)


def speech() -> None:
    """A recording as the model reads it, with where it heard each word."""
    folder = exhibit("speech")
    model = antiphon.load(folder).with_search({"spans": True})
    found = [item for item in evaluation(folder)["items"] if item["prediction"] in item["references"]]
    source = next(item["source"] for item in found if len(item["prediction"].split()) == SPOKEN)
    said, task = model.predict(source), model.task
    assert isinstance(said, Prediction)
    assert isinstance(task, Hears)
    frames = task.frames(task.sound({task.columns[0]: source}).waveform)
    drawing = spectrogram(frames, said.details["seconds"], said.details["words"], label="A spectrogram")
    write("speech", f"Speech: {said.text}", line(said.text, MARGIN, 30, "said"), placed(drawing, 50))


def forecasting() -> None:
    """The forecast of the series in the middle of the ranking: history, what happened, forecast and intervals."""
    details = evaluation(exhibit("forecasting"))["details"]
    one = min(details["forecasts"], key=lambda each: abs(each["rank"] - each["ranked"] / 2))
    drawing = fan_of(one["channels"][0], one["times"], one["history_times"]).figure("", "")
    head = line("Jobs: " + one["unique_id"].partition(": ")[2], MARGIN, 26, "head")
    write("forecasting", f"Forecast of {one['unique_id']}", head, placed(drawing, 44))


def main(wanted: Sequence[str] = ("translation", "summarization", "speech", "forecasting")) -> None:
    """Draw them; each one's model is trained where it is missing."""
    for name in wanted:
        {"translation": translation, "summarization": summarization, "speech": speech, "forecasting": forecasting}[name]()


if __name__ == "__main__":
    assert GALLERY.parent == ROOT / "build"
    main()
