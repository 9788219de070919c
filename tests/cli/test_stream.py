"""`antiphon predict --stream`: words in, words out, a line for a line."""

import io
import sys
from pathlib import Path

import pytest

import antiphon as package
from tests.cli.conftest import Command

RECIPE = """\
task: {name: translation, vocabulary: {kind: word}}
data: {train: train.tsv, validation: 2}
model: {name: transformer, dim: 8, heads: 2, encoder_layers: 1, decoder_layers: 1, feed_forward_dim: 8, wait_k: 2}
training: {max_steps: 1, device: cpu, samples: 0}
search: {name: greedy, limits: {max_ratio: 1, max_offset: 1}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    (folder / "train.tsv").write_text("source\ttarget\n" + "".join(f"a b{n}\tc d{n}\n" for n in range(6)), encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return Path(package.train(folder / "recipe.yaml", folder / "run"))


def test_a_line_is_said_for_each_line(antiphon: Command, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = ["a b1", "", "a b2 b3 b4"]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = antiphon("predict", run, "--input", tmp_path / "in.txt").out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
    assert antiphon("predict", run, "--stream").out == whole


def test_it_stands_alone(antiphon: Command, run: Path) -> None:
    result = antiphon("predict", run, "--stream", "--json")
    assert result.status == 1
    assert "`--stream` must stand alone" in result.err


def test_a_run_that_cannot_be_followed_is_refused_before_anything_is_read(
    antiphon: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    result = antiphon("predict", trained, "--stream")
    assert result.status == 1
    assert "needs one run with `model.wait_k`" in result.err
