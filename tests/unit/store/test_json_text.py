"""What is written as JSON is read by everybody, whatever numbers it holds."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.store.checkpoint import replace_json, write_json
from antiphon.store.json_text import json_text, plain_numbers


def refuse(constant: str) -> None:
    """What a browser does with NaN."""
    raise AssertionError(f"{constant} is no JSON")


BAD = {"a": [1.0, math.nan, (math.inf, -math.inf)], "b": {"c": np.float64("nan"), "d": "nan"}, "e": 2}


def test_numbers_that_json_has_not_are_null() -> None:
    expected = {"a": [1.0, None, [None, None]], "b": {"c": None, "d": "nan"}, "e": 2}
    assert json.loads(json_text(BAD), parse_constant=refuse) == expected
    assert plain_numbers(BAD) == expected


def test_it_is_written_as_asked() -> None:
    assert json_text({"ü": Path("x")}, default=str) == '{"ü": "x"}'
    assert json_text({"ü": 1}, ascii_only=True, indent=1) == '{\n "\\u00fc": 1\n}'
    with pytest.raises(TypeError):
        json_text({"ü": Path("x")})


@pytest.mark.parametrize("write", [write_json, replace_json])
def test_files_of_runs_hold_none(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "x.json", BAD)
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)["a"][1] is None
