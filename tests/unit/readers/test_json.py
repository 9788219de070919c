"""JSON files: lists of objects, objects with one, and lines; whole files give what json.loads does."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from antiphon.contracts.files import FileConfig
from antiphon.data.records import open_records
from antiphon.errors import DataError
from tests.generated import on_generated_files, over

ROWS = [{"source": 'a "b" [{', "more": {"de": [1, {"x": "}"}]}}, {"source": "ü\\", "more": {"de": []}}]


def rows(path: Path, required: tuple[str, ...] = ("source",), **named: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(number, dict(record)) for number, record in open_records(FileConfig(path=str(path), **named), required=required)()]


def write(folder: Path, text: str, name: str = "data.json") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrapped", [False, True])
def test_lists_of_objects(tmp_path: Path, indent: int | None, wrapped: bool) -> None:
    content = {"version": 1.1, "about": {"data": ["x"]}, "data": ROWS, "end": [1, [2]]} if wrapped else ROWS
    path = write(tmp_path, json.dumps(content, indent=indent, ensure_ascii=indent is None))
    assert rows(path) == list(enumerate(ROWS))
    assert [record["more.de"] for _, record in rows(path, ("source", "more.de"))] == [row["more"]["de"] for row in ROWS]
    records = open_records(path, required=("source",))
    lines = path.read_text().splitlines()
    places = [int(records.place(number).rpartition(":")[2]) for number in range(2)]
    assert [lines[place - 1].strip()[-1] for place in places] == (["{", "{"] if indent else [lines[0][-1]] * 2)


def test_one_object_and_lines(tmp_path: Path) -> None:
    assert rows(write(tmp_path, json.dumps(ROWS[1], indent=1))) == [(0, ROWS[1])]
    nested = [{"source": "a", "others": [{"b": 1}]}, {"source": "c", "others": []}]
    assert rows(write(tmp_path, "\n".join(map(json.dumps, nested)))) == list(enumerate(nested))
    assert rows(write(tmp_path, json.dumps(ROWS), "data.jsonl"), format="json") == list(enumerate(ROWS))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"source": "a"},\n{"source": b}\n]', r"data.json:3 must be JSON, but is not at character 12"),
        ('[\n{"source": "a"}\n{"source": "b"}\n]', r"data.json:3 must be JSON, but is not at character 1: Expecting ',' delimiter"),
        ('[\n{"source": "a"},\n]', r"data.json:3 must be JSON, but is not"),
        ('[\n{"source": "a"},\n5]', r"data.json:3 must be a JSON object such as .* but is 5"),
        ('[5, {"source": "a"}]', r"must be a list of objects, or an object, but is a list of others"),
        ("5", r"must be a list of objects, or an object, but is a int"),
        ("[]", r"has no objects, which would be its records"),
        ('[\n{"source": "a"},\n{"source": "b"', r"data.json` ends before the { in line 3 is closed"),
        ('[{"source": "a"}]\n[]', r"data.json:2 must be JSON, but is not"),
        ('[{"source": "a"}]]', r"data.json:1 must be JSON, but a ] closes nothing"),
        ('{"a": [{"source": "a"}],\n"b": [{"source": "a"}]}', r"one list of objects, .* but a second one begins in line 2"),
        ('[{"source": "a\nb"}]', r"data.json:1 must be JSON, but a text that begins with a quote does not end in its line"),
        ('[\n{"sorce": "a"}]', r"data.json:2 has no column `source`; it has: sorce. Did you mean `sorce`"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(write(tmp_path, text))


texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.lists(st.dictionaries(st.sampled_from(["source", "b", "c"]), values, min_size=1, max_size=3), min_size=1, max_size=4)


@on_generated_files
def test_whatever_json_writes_is_read(tmp_path: Path, count: int) -> None:
    def generated(found: Any, indent: Any, ascii_only: bool, wrapped: bool) -> None:
        content = {"info": "x", "data": found} if wrapped else found
        path = write(tmp_path, json.dumps(content, indent=indent, ensure_ascii=ascii_only))
        assert rows(path, ()) == list(enumerate(found))

    shapes = {"indent": st.sampled_from([None, 0, 3]), "ascii_only": st.booleans(), "wrapped": st.booleans()}
    over(count, generated, found=objects, **shapes)
