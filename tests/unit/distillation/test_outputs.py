"""Outputs of a teacher on disk: complete, in order, and never twice, whatever stops the decoding."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Hypothesis, Prediction
from antiphon.data.byte_streams import read_lines
from antiphon.data.records import MemoryRecords
from antiphon.distillation import outputs as module
from antiphon.distillation.outputs import Outputs, TaughtRecords, describe
from antiphon.errors import DataError

RECORDS = [{"en": f"word {number}", "it": f"parola {number}", "other": number} for number in range(23)]


class StopError(Exception):
    """What a kill is in these tests."""


class Decoder:
    """Says the source in capitals; stops after so many shards."""

    def __init__(self, stop_after: int | None = None, mark: str = ""):
        self.stop_after, self.mark, self.sources = stop_after, mark, list[str]()
        self.shards = 0

    def __call__(self, records: Sequence[Record]) -> list[Prediction]:
        if self.shards == self.stop_after:
            raise StopError
        self.shards += 1
        self.sources += [record["en"] for record in records]
        return [_prediction(record["en"].upper() + self.mark) for record in records]


def _prediction(text: str, reason: Any = "end") -> Prediction:
    return Prediction(text, Hypothesis(np.zeros(1, dtype=np.int64), -0.5, -1.0, finish_reason=reason), details={"error": "empty"})


def _silent(line: str) -> None:
    """What is said of the progress."""


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 5)


def made(folder: Path, decoder: Any, records: Sequence[Record] = RECORDS, *, teacher: str = "a", search: str = "beam") -> Outputs:
    source = MemoryRecords(lambda: records)
    outputs = Outputs(folder / "train-0.jsonl.zst", describe(source, [teacher], {"name": search}, "it"))
    outputs.make(source, ("en", "it"), decoder, _silent)
    return outputs


def lines(outputs: Outputs) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in read_lines(outputs.path)]


def check_whole(outputs: Outputs, mark: str = "") -> None:
    assert [line["record"] for line in lines(outputs)] == list(range(len(RECORDS)))
    assert [line["it"] for line in lines(outputs)] == [record["en"].upper() + mark for record in RECORDS]
    assert outputs.manifest.complete
    assert outputs.manifest.records == len(RECORDS)


def test_complete_and_in_order(tmp_path: Path) -> None:
    outputs = made(tmp_path, Decoder())
    check_whole(outputs)
    assert lines(outputs)[3] == {"record": 3, "score": -0.5, "finish_reason": "end", "en": "word 3", "it": "WORD 3"}


@pytest.mark.parametrize("shards", range(5))
def test_a_kill_while_decoding_loses_nothing_and_repeats_nothing(tmp_path: Path, shards: int) -> None:
    with pytest.raises(StopError):
        made(tmp_path, Decoder(stop_after=shards))
    second = Decoder()
    check_whole(made(tmp_path, second))
    assert second.sources == [record["en"] for record in RECORDS[5 * shards :]], "what is there is not decoded again"


def test_a_kill_between_the_data_and_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = Outputs._write, list[int]()

    def stop_at_third(self: Outputs, manifest: Any) -> None:
        calls.append(manifest.records)
        if len(calls) == 3:
            raise StopError
        write(self, manifest)

    monkeypatch.setattr(Outputs, "_write", stop_at_third)
    with pytest.raises(StopError):
        made(tmp_path, Decoder())
    monkeypatch.setattr(Outputs, "_write", write)
    second = Decoder()
    check_whole(made(tmp_path, second))
    assert second.sources[0] == "word 10", "the third shard was not counted, so it is decoded again"


def test_half_a_frame_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        made(tmp_path, Decoder(stop_after=2))
    with open(tmp_path / "train-0.jsonl.zst", "ab") as file:
        file.write(b"\x28\xb5\x2f\xfd half of a frame")
    check_whole(made(tmp_path, Decoder()))


def test_a_kill_before_the_end_was_noted(tmp_path: Path) -> None:
    outputs = made(tmp_path, Decoder())
    outputs._write(replace(outputs.manifest, complete=False, sha256=""))
    second = Decoder()
    check_whole(made(tmp_path, second))
    assert second.sources == []


def test_unchanged_outputs_are_used_again(tmp_path: Path) -> None:
    first = made(tmp_path, Decoder())
    before = first.path.read_bytes()
    decoder = Decoder(stop_after=0)
    check_whole(made(tmp_path, decoder))
    assert first.path.read_bytes() == before


@pytest.mark.parametrize("change", [{"teacher": "b"}, {"search": "greedy"}, {"records": [{**RECORDS[0], "en": "new"}, *RECORDS[1:]]}])
@pytest.mark.parametrize("stopped", [None, 2])
def test_a_change_makes_them_anew(tmp_path: Path, change: dict[str, Any], stopped: int | None) -> None:
    if stopped is None:
        made(tmp_path, Decoder())
    else:
        with pytest.raises(StopError):
            made(tmp_path, Decoder(stop_after=stopped))
    outputs = made(tmp_path, Decoder(mark="!"), **change)
    assert [line["it"][-1] for line in lines(outputs)] == ["!"] * len(RECORDS)


@pytest.mark.parametrize("damage", ["", "{}", "no JSON", '{"identity": 3}'])
def test_a_damaged_manifest_counts_for_nothing(tmp_path: Path, damage: str) -> None:
    outputs = made(tmp_path, Decoder())
    outputs.manifest_path.write_text(damage)
    decoder = Decoder()
    check_whole(made(tmp_path, decoder))
    assert len(decoder.sources) == len(RECORDS)


def test_a_shortened_file_is_made_anew(tmp_path: Path) -> None:
    outputs = made(tmp_path, Decoder())
    outputs.path.write_bytes(outputs.path.read_bytes()[:-3])
    check_whole(made(tmp_path, Decoder()))


def test_taught_records_are_the_others_with_the_teachers_target(tmp_path: Path) -> None:
    source = MemoryRecords(lambda: RECORDS)
    outputs = made(tmp_path, Decoder())
    taught = TaughtRecords(source, "it", outputs)
    assert [number for number, _ in taught()] == list(range(len(RECORDS)))
    assert dict(list(taught())[7][1]) == {"en": "word 7", "it": "WORD 7", "other": 7}
    assert taught.label(7) == source.label(7)
    other = TaughtRecords(source, "it", made(tmp_path / "other", Decoder(mark="!")))
    assert taught.signature() not in (source.signature(), other.signature()), "other outputs are other data, and are encoded anew"


def test_refused_and_unfinished_outputs_are_counted(tmp_path: Path) -> None:
    def decode(records: Sequence[Record]) -> list[Prediction]:
        reasons = {"word 3": "refused", "word 4": "length"}
        return [_prediction("" if record["en"] == "word 3" else "x", reasons.get(record["en"], "end")) for record in records]

    outputs = made(tmp_path, decode)
    assert outputs.manifest.finished == {"end": 21, "refused": 1, "length": 1}
    said = "\n".join(outputs.notes())
    assert "1 of them reached the search's limit of length" in said
    assert "1 sources were refused by the teacher (record 3: empty)" in said
    assert len(lines(outputs)) == len(RECORDS), "a refused source keeps its place"


def test_no_records(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have records for the teacher"):
        made(tmp_path, Decoder(), [])
