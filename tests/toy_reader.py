"""A format for tests: `source = target` a line, `# ...` is no record, a line without a target waits. Its name: `tests.toy_reader`."""

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Rewriter, Said, Skip
from antiphon.data.byte_streams import read_lines
from antiphon.readers.placeholders import check_placeholders


def read(reading: Reading) -> Located:
    for number, line in read_lines(reading.path):
        source, _, target = line.partition(" = ")
        if line.startswith("#"):
            yield number, Skip("comment")
        elif reading.with_targets and not target:
            yield number, Skip("no target")
        elif not reading.with_targets and target:
            yield number, Skip("has a target")
        else:
            yield number, {reading.source: source, **({reading.target: target} if target else {})}


class ToyRewriter(Rewriter):
    def __init__(self, reading: Reading):
        self._lines = reading.path.read_text("utf-8").split("\n")
        self._waiting = [place for place, line in enumerate(self._lines) if line and not line.startswith("#") and " = " not in line]

    def wants_links(self, unit: int) -> bool:
        return "<" in self._lines[self._waiting[unit - 1]]

    def put(self, unit: int, said: Said) -> None:
        place = self._waiting[unit - 1]
        check_placeholders(self._lines[place], said.text)
        links = "" if said.links is None else f" {said.links}"
        self._lines[place] += f" = {said.text}{links}"

    def content(self) -> bytes:
        return "\n".join(self._lines).encode()


plugin = ReaderPlugin(
    name="toy",
    summary="for tests",
    suffixes=(".toy",),
    read=read,
    back=ToyRewriter,
    recognizes=lambda opening: opening.startswith(b"# toy"),
    settings=frozenset(),
    unit="unit",
)
