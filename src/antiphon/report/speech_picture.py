"""A picture of a recording: its spectrogram, the times of words, and where attention was.

Unusual here: pictures are PNG files written with zlib alone, inside the SVG as data, so the page stays one file and needs no package.
One pixel of the spectrogram is one frame and one channel; the browser stretches it.
"""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from antiphon.report.markup import Markup, display_width, element
from antiphon.report.quantities import as_real, percent

_PIXELS_A_SECOND = 160
_NARROWEST, _WIDEST = 320, 1000
_HEIGHT = 120.0
_LETTER = 7.0  # the width of a character of the words
_ROW = 15  # of words; those that would overlap stand in rows of their own
_MOST_ROWS = 4
_ATTENTION_HEIGHT, _ATTENTION_ROW = 220, 11
_RAMP = ((12, 16, 40), (38, 49, 110), (32, 115, 140), (74, 178, 119), (250, 230, 90))  # from quiet to loud


def png(values: Float[np.ndarray, "H W"]) -> bytes:
    """Numbers from 0 to 1 as a picture of H x W pixels, dark to bright."""
    levels: UInt8[np.ndarray, "H W"] = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    places = np.linspace(0, len(_RAMP) - 1, 256)
    palette = np.stack([np.interp(places, np.arange(len(_RAMP)), [colour[part] for colour in _RAMP]) for part in range(3)], axis=1)
    lines = np.pad(levels, ((0, 0), (1, 0)))  # each line begins with the number of its filter: none
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 8, 3, 0, 0, 0)  # 8 bits, out of a palette
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def _chunk(content: tuple[bytes, bytes]) -> bytes:
    name, data = content
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def spectrogram(
    frames: Float[np.ndarray, "S C"],
    seconds: float,
    words: Sequence[Mapping[str, Any]],
    attention: Float[np.ndarray, "T S2"] | None = None,
    *,
    label: str,
) -> Markup:
    """An SVG of a recording.

    frames      log-mel features, low channels first
    seconds     how long the recording is
    words       `word`, and where they are known `start` and `end` in seconds from the picture's beginning, and `confidence`
    attention   weights over the recording for each symbol, or None
    label       what the picture shows, for those who do not see it
    """
    width = float(np.clip(seconds * _PIXELS_A_SECOND, _NARROWEST, _WIDEST))
    scale = width / max(seconds, 1e-9)
    low, high = np.percentile(frames, [10, 99.7])
    marks = [_image(np.flipud((frames.T - low) / max(float(high - low), 1e-9)), 0.0, width, _HEIGHT)]
    rows, bottom = _word_marks(words, scale, width)
    marks += rows
    if attention is not None and attention.size:
        height = float(min(_ATTENTION_HEIGHT, _ATTENTION_ROW * attention.shape[0]))
        marks.append(_image(attention / max(float(attention.max()), 1e-9), bottom + 4, width, height))
        bottom += height + 4
    for second in range(int(seconds) + 1):
        where = {
            "class": "tick",
            "x": f"{second * scale:.1f}",
            "y": f"{bottom + 14:.1f}",
            "text-anchor": "start" if not second else "middle",
        }
        marks.append(element("text", where, f"{second} s"))
    shape = {"viewBox": f"0 0 {width:.0f} {bottom + 20:.0f}", "width": f"{width:.0f}", "height": f"{bottom + 20:.0f}", "role": "img"}
    return element("div", {"class": "scroll"}, element("svg", {**shape, "class": "sound", "aria-label": label}, *marks))


def _image(values: Float[np.ndarray, "H W"], top: float, width: float, height: float) -> Markup:
    content = "data:image/png;base64," + base64.b64encode(png(values)).decode("ascii")
    shape = {"x": 0, "y": f"{top:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}", "preserveAspectRatio": "none"}
    return element("image", {**shape, "href": content})


def _word_marks(words: Sequence[Mapping[str, Any]], scale: float, width: float) -> tuple[list[Markup], float]:
    """A bar over the picture and a name below it for each word with a time; also returns their height."""
    marks, ends = list[Markup](), [0.0]
    for word in words:
        start, end = as_real(word.get("start")), as_real(word.get("end"))
        if start is None or end is None:
            continue
        name, x = str(word.get("word", "")), start * scale
        x = max(0.0, min(x, width - 2))
        left = max(0.0, min(x, width - _LETTER * display_width(name)))
        row = next((row for row, taken in enumerate(ends) if taken <= left), len(ends))
        row = min(row, _MOST_ROWS - 1)
        ends[row : row + 1] = [left + _LETTER * (display_width(name) + 1)]
        sure = as_real(word.get("confidence"))
        said = f"{name}: {start:.2f} to {end:.2f} s" + ("" if sure is None else f", {percent(sure)} sure")
        bar = {
            "class": "word",
            "x": f"{x:.1f}",
            "y": 0,
            "width": f"{max(2.0, min((end - start) * scale, width - x)):.1f}",
            "height": _HEIGHT,
        }
        marks.append(element("rect", bar, element("title", None, said)))
        marks.append(element("text", {"class": "word-label", "x": f"{left:.1f}", "y": f"{_HEIGHT + _ROW * (row + 1) - 3:.0f}"}, name))
    return marks, _HEIGHT + (_ROW * len(ends) if marks else 0.0)
