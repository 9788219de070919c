"""Layout of subtitles: breaks text into balanced lines, and divides a sentence over the cues in which it is shown."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from antiphon.data.line_breaks import columns, pieces_of
from antiphon.readers.marked_text import Segment
from antiphon.readers.tag_placement import Links

LINE = 42
"""Columns of a line, as broadcasters have it."""

_PRIVATE = 0xF0000  # letters of nobody, which stand for marks while lines are broken
_PARTED = 0.25  # what a link costs whose words are in two parts; a tenth of the length costs 0.05, a pause gives 0.1
_PAUSES = ",;:—–.!?…、，。；：！？،؛"


def broken(segments: Sequence[Segment], width: int) -> list[str]:
    """Text with marks in lines of at most `width` columns, as few and as balanced as possible; a longer word gets a line of its own."""
    marks = {chr(_PRIVATE + number): one for number, one in enumerate(segments) if one.raw != one.shown}
    text = "".join(chr(_PRIVATE + number) if one.raw != one.shown else one.raw for number, one in enumerate(segments))
    lines = _lines(_glued(list(pieces_of(text)), marks), marks, width)
    return ["".join(marks[letter].raw if letter in marks else letter for letter in line) for line in lines]


def _glued(pieces: Sequence[str], marks: dict[str, Segment]) -> list[str]:
    """The pieces, with invisible ones joined to their neighbours, so that no line consists of a mark."""
    found: list[str] = []
    waiting = ""
    for piece in pieces:
        if not _shown(piece, marks).strip():
            if found and not waiting and not piece.startswith(" "):
                found[-1] += piece
            else:
                waiting += piece
        else:
            found.append(waiting + piece)
            waiting = ""
    return [*found[:-1], found[-1] + waiting] if found else [waiting]


def _shown(text: str, marks: dict[str, Segment]) -> str:
    return "".join(marks[letter].shown if letter in marks else letter for letter in text)


def _lines(pieces: Sequence[str], marks: dict[str, Segment], width: int) -> list[str]:
    """The fewest lines that the pieces fit on; among all ways to break them, the most balanced one that ends lines at pauses."""
    shown = [_shown(piece, marks) for piece in pieces]
    sizes = list(accumulate((columns(one) for one in shown), initial=0))
    count = len(pieces)

    def size(start: int, end: int) -> int:
        return sizes[end] - sizes[start] - shown[start].startswith(" ")

    best: list[tuple[float, float, int]] = [(0.0, 0.0, 0)]  # for each number of pieces: lines, cost, where the last line begins
    for end in range(1, count + 1):
        ways = []
        for start in range(end - 1, -1, -1):
            if size(start, end) > width and start < end - 1:
                break
            pause = 0.0 if end == count or shown[end - 1].rstrip()[-1:] in _PAUSES else 0.15 * width
            ways.append((best[start][0] + 1, best[start][1] + (size(start, end) ** 2 / width) + pause, start))
        best.append(min(ways))
    found, end = list[str](), count
    while end:
        start = best[end][2]
        found.append("".join(pieces[start:end]).strip(" "))
        end = start
    return found[::-1]


def divided(parts: Sequence[str], said: str, links: Links | None) -> list[str]:
    """A translation in as many parts as the sentence has: with as few as possible linked words separated, and about the right share of the
    length in each part. If there are fewer words than parts, the last words stay on screen."""
    if len(parts) == 1:
        return [said]
    pieces = list(pieces_of(said))
    if len(pieces) < len(parts):
        shown = [*pieces, *[pieces[-1]] * (len(parts) - len(pieces))]
        return [one.strip() for one in shown]
    cuts = _cuts(parts, pieces, links)
    edges = [0, *cuts, len(pieces)]
    return ["".join(pieces[start:end]).strip(" ") for start, end in pairwise(edges)]


def _cuts(parts: Sequence[str], pieces: Sequence[str], links: Links | None) -> list[int]:
    """The pieces at which all parts but the first begin, by minimum total cost."""
    words = list(accumulate((piece.startswith(" ") for piece in pieces), initial=-1))[1:]  # the word that each piece is in
    source = [columns(part) + 1 for part in parts]
    target = list(accumulate((columns(piece) for piece in pieces), initial=0))
    before = list(accumulate(len(part.split()) for part in parts))
    shares = [one / sum(source) for one in accumulate(source)]

    def cost(number: int, cut: int) -> float:
        """The cost of ending a part before a piece."""
        parted = sum((one < before[number]) != (other < words[cut]) for one, other in links or ())
        strain = abs(target[cut] / target[-1] - shares[number]) * (0.5 if links else 2.0)
        pause = pieces[cut - 1].rstrip()[-1:] in _PAUSES
        return _PARTED * parted + strain - (0.1 if pause else 0.0) + (0.0 if pieces[cut].startswith(" ") else 0.05)

    most = len(pieces)
    best: list[dict[int, tuple[float, tuple[int, ...]]]] = [{0: (0.0, ())}]
    for number in range(len(parts) - 1):
        row: dict[int, tuple[float, tuple[int, ...]]] = {}
        low: tuple[float, tuple[int, ...]] | None = None
        for cut in range(number + 1, most - (len(parts) - 2 - number)):
            if cut - 1 in best[-1] and (low is None or best[-1][cut - 1] < low):
                low = best[-1][cut - 1]
            if low is not None:
                row[cut] = (low[0] + cost(number, cut), (*low[1], cut))
        best.append(row)
    return list(min(best[-1].values())[1])
