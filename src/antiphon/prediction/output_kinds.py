"""The output formats, chosen by the name of the output: plain lines, a table, JSON, or a format of the task.

The suffix decides. A suffix that promises a format which predictions are not written in is refused before anything is predicted; one that
promises nothing (`out.de`, `out.hyp`) means lines.
"""

from pathlib import Path
from typing import Literal

from antiphon.contracts.abilities import Tabular, WritesFiles, WritesFormats
from antiphon.contracts.asking import writes_files
from antiphon.contracts.task import Task
from antiphon.data.byte_streams import COMPRESSIONS
from antiphon.data.formats import readers
from antiphon.errors import DataError

Kind = Literal["lines", "csv", "tsv", "jsonl", "json", "file", "format"]

_TABLES: dict[str, Kind] = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
_LINES_OF_JSON = (".jsonl", ".ndjson")
SUBTITLES = (".srt", ".vtt")
_PACKED = (*COMPRESSIONS, ".bz2", ".xz", ".zip", ".tar", ".tgz", ".7z")
_OTHERS = (
    *(".json", ".xml", ".html", ".htm", ".yaml", ".yml", ".parquet", ".arrow", ".feather"),
    *(".po", ".pot", ".xliff", ".xlf", ".sdlxliff", ".tmx", ".tbx", ".ass", ".sbv", ".ttml"),
    *(".xlsx", ".xls", ".ods", ".docx", ".doc", ".odt", ".rtf", ".pptx", ".odp", ".pdf", ".epub"),
)


def kind_of(path: Path, task: Task, *, as_json: bool) -> Kind:
    """The format of a file with this name. Raises DataError when its suffix contradicts the options."""
    suffix = path.suffix.lower()
    if as_json:
        if suffix in (*_TABLES, *_LINES_OF_JSON, *SUBTITLES, *_PACKED) or (suffix in _OTHERS and suffix != ".json"):
            raise DataError(f"`--output {path}` must end in .json with `--json`, which writes one JSON document. Leave one of them out.")
        return "json"
    if suffix in _LINES_OF_JSON:
        return "jsonl"
    if isinstance(task, WritesFormats) and suffix in task.formats():
        return "format"
    if writes_files(task):
        if suffix in (*_TABLES, *_PACKED, *_OTHERS):
            raise _refused(path, task)
        return "file"
    if suffix in _TABLES:
        return _TABLES[suffix]
    if suffix in (*SUBTITLES, *_PACKED, *_OTHERS):
        raise _refused(path, task)
    return "csv" if isinstance(task, Tabular) else "lines"


def _refused(path: Path, task: Task) -> DataError:
    if writes_files(task):
        can = "subtitles (.srt or .vtt, as the task is set), or .jsonl with all details"
    elif isinstance(task, Tabular):
        can = ".csv or .tsv, or .jsonl with all details"
    else:
        can = "bare lines (.txt), .csv or .tsv with the columns of the inputs, or .jsonl with all details"
    if isinstance(task, WritesFormats):
        can = f"{', '.join(task.formats())}, or {can}"
    more = " With `--json` it is one JSON document." if path.suffix.lower() == ".json" else ""
    if path.suffix.lower() in SUBTITLES and isinstance(task, WritesFiles):
        more = " Subtitles are asked for with `task.subtitles`."
    elif any(path.suffix.lower() in plugin.suffixes for plugin in readers() if plugin.back is not None):
        more = f" A {path.suffix} file is made of one: `--input FILE{path.suffix}`."
    return DataError(f"`--output {path}` has the suffix {path.suffix}, but predictions are written as {can}.{more}")
