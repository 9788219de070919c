"""The pieces that make a run survive: the log, and folders that are replaced in one step."""

import json
import os
import resource
from pathlib import Path

import pytest
import torch

from antiphon.errors import CheckpointError
from antiphon.store import atomic, checkpoint
from antiphon.training.loggers import JsonLinesLogger


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def test_the_log_of_a_resumed_run_ends_where_the_checkpoint_is(tmp_path: Path) -> None:
    log = JsonLinesLogger(tmp_path / "metrics.jsonl")
    for step in range(1, 6):
        log.log({"kind": "sample", "step": step, "source": "line\u2028separator\u0085next\x0bline"})
    log.log({"kind": "average", "step": 4})
    log.log({"kind": "end", "step": 4})
    log.close()
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write('{"kind": "sample", "step": 3, "source": "ä'.encode()[:-1])  # a kill in the middle of a letter
    again = JsonLinesLogger(tmp_path / "metrics.jsonl", keep_until=4)
    again.log({"kind": "end", "step": 5})
    again.close()
    found = [(line["kind"], line["step"]) for line in lines(tmp_path / "metrics.jsonl")]
    assert found == [*(("sample", step) for step in range(1, 5)), ("end", 5)]
    assert lines(tmp_path / "metrics.jsonl")[0]["source"] == "line\u2028separator\u0085next\x0bline"


def test_numbers_that_json_lacks(tmp_path: Path) -> None:
    log = JsonLinesLogger(tmp_path / "metrics.jsonl")
    log.log({"kind": "validation", "step": 1, "scores": {"loss": float("nan")}, "values": [float("inf"), 1.0]})
    log.close()
    line = lines(tmp_path / "metrics.jsonl")[0]
    assert (line["scores"], line["values"]) == ({"loss": "nan"}, ["inf", 1.0])


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    log = JsonLinesLogger(tmp_path / "metrics.jsonl")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"metrics.jsonl cannot be written: .*--resume"):
            log.log({"kind": "records", "step": 1, "records": list(range(1000))})
        with pytest.raises(CheckpointError, match="Earlier checkpoints are intact"):
            checkpoint.write(tmp_path / "step-1", {}, {"weight": torch.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_replacement_that_never_came_is_put_back(tmp_path: Path) -> None:
    """A kill between the two renames of an overwritten checkpoint."""
    checkpoint.write(tmp_path / "average", {"step": 1}, {"weight": torch.ones(2)})
    os.replace(tmp_path / "average", tmp_path / ".average.partial-old-123")
    (tmp_path / ".average.partial-123").mkdir()
    atomic.clean(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["average"]
    assert checkpoint.read(tmp_path / "average").header["step"] == 1
