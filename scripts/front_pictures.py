#!/usr/bin/env python3
"""Draw the four pictures of the front page, docs/pictures/front_*.svg, from the models of scripts/gallery.py.

Each shows one record of the test data, which the model never learned from: of those that came out right, the longest that fits. The forecast is
of the series whose error is the median. Unusual: the drawings are those of `antiphon report`, set into a picture of one size.
"""

import json
import re
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import antiphon
from antiphon.contracts.sequences import Prediction
from antiphon.report.fan_chart import fan_of
from antiphon.report.heat_map import heat_map
from antiphon.report.speech_picture import spectrogram
from gallery import GALLERY, ROOT, exhibit

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT, MARGIN = 440, 230, 12
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; fill: #1c2128; }
.head { font-size: 13px; font-weight: 600; } .quiet { font-size: 11.5px; fill: #5c6673; } .body { font-size: 12px; } .said { font-size: 17px; }
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


def right(folder: Path, most: int) -> str:
    """The longest source of the test data, of at most so many characters, for which the model says exactly the reference."""
    items = evaluation(folder)["items"]
    fitting = [item["source"] for item in items if item["prediction"] in item["references"] and len(item["source"]) <= most]
    return max(fitting, key=len)


def evaluation(folder: Path) -> dict[str, Any]:
    """The stored evaluation on test data."""
    (found,) = (folder / "evaluations").glob("*.json")
    return json.loads(found.read_text(encoding="utf-8"))


def translation() -> None:
    """A sentence, and where attention looked for each piece of its translation."""
    folder = exhibit("translation")
    said = antiphon.load(folder).with_search({"alignment": True}).predict(right(folder, 60))
    assert said.hypothesis.alignment is not None, "asked for with alignment=True"
    pieces = [[piece.replace("\u2581", "") for piece in said.details[side]] for side in ("source_pieces", "target_pieces")]
    weights = np.asarray(said.hypothesis.alignment)[: len(pieces[1]), : len(pieces[0])]
    drawing = heat_map(weights, pieces[1], pieces[0], "Attention")
    source = right(folder, 60)
    write("translation", f"Translation: {source} becomes {said.text}", line(source, MARGIN, 26, "head"), line(said.text, MARGIN, 48, "said"), placed(drawing, 62))


def summarization() -> None:
    """A document with what was copied from it marked, and its heading."""
    folder = exhibit("summarization")
    source = right(folder, 420)
    said: Prediction = antiphon.load(folder).predict(source)
    copied = {piece.lower() for piece, how in zip(said.details["target_pieces"], said.details["copied"], strict=False) if how["probability"] > 0.5}
    marks, texts, y = [], [line(said.text, MARGIN, 30, "said")], 58.0
    for row in textwrap.wrap(source, 66)[:11]:
        x = float(MARGIN)
        for word in row.split():
            width = 6.1 * len(word)
            if re.sub(r"\W", "", word).lower() in copied:
                marks.append(f'<rect class="copied" x="{x - 2:g}" y="{y - 12:g}" width="{width + 4:g}" height="16" rx="3"/>')
            texts.append(f'<text class="body" x="{x:g}" y="{y:g}" textLength="{width:g}" lengthAdjust="spacingAndGlyphs">{escape(word)}</text>')
            x += width + 4
        y += 18
    write("summarization", f"Summary: {said.text}", *marks, *texts)


def speech() -> None:
    """A recording as the model reads it, with where it heard each word."""
    folder = exhibit("speech")
    model = antiphon.load(folder).with_search({"spans": True})
    source = max((item["source"] for item in evaluation(folder)["items"] if item["prediction"] in item["references"]), key=lambda path: Path(path).stat().st_size)
    said = model.predict(source)
    sound = model.task.sound({model.task.columns[0]: source})
    frames = model.task.frames(sound.waveform)
    drawing = spectrogram(frames, said.details["seconds"], said.details["words"], label="A spectrogram")
    write("speech", f"Speech: {said.text}", line(said.text, MARGIN, 30, "said"), placed(drawing.replace('preserveAspectRatio="none" ', 'preserveAspectRatio="none" '), 50))


def forecasting() -> None:
    """The forecast of the series in the middle of the ranking: history, what happened, forecast and intervals."""
    details = evaluation(exhibit("forecasting"))["details"]
    one = min(details["forecasts"], key=lambda each: abs(each["rank"] - each["ranked"] / 2))
    drawing = fan_of(one["channels"][0], one["times"], one["history_times"]).figure("", "")
    write("forecasting", f"Forecast of {one['unique_id']}", line("Jobs: " + one["unique_id"].partition(": ")[2], MARGIN, 26, "head"), placed(drawing, 44))


def main(wanted: Sequence[str] = ("translation", "summarization", "speech", "forecasting")) -> None:
    """Draw them; each one's model is trained where it is missing."""
    for name in wanted:
        {"translation": translation, "summarization": summarization, "speech": speech, "forecasting": forecasting}[name]()


if __name__ == "__main__":
    assert GALLERY.parent == ROOT / "build"
    main()
