"""A tiny trained run, and a way to call the command line within the process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from antiphon.cli.main import main

RECIPE = """\
task:
  name: translation
  source: en
  target: no
  source_vocabulary: {kind: character}
  target_vocabulary: {kind: character}
data:
  train: train.tsv
  validation: validation.tsv
  test: test.tsv
  limits: {max_source_length: 20}
model: {name: lstm, dim: 16, attention: dot}
training:
  max_steps: 12
  batching: {target_tokens: 200}
  optimizer: {name: adamw, learning_rate: 3e-3}
  validate_every: 6
  device: cpu
search: {name: beam, beam_size: 2}
evaluation: {metrics: [chrf, exact_match], resamples: 50}
"""


@dataclass(frozen=True)
class Result:
    """What a command left."""

    status: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def antiphon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Call `antiphon ARGUMENTS`, on a wide terminal unless the test sets COLUMNS."""
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["antiphon", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return call


def write_project(folder: Path) -> Path:
    """A recipe with its data; returns the recipe's path."""
    words = ["".join(chr(97 + (index * step) % 7) for index in range(3 + step % 4)) for step in range(1, 61)]
    rows = [f"{word}{number}\t{(word + str(number))[::-1]}" for number, word in enumerate(words)]
    for name, part in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
        (folder / f"{name}.tsv").write_text("en\tno\n" + "\n".join(part) + "\n", encoding="utf-8")
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The path of a recipe with data beside it."""
    return write_project(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run; do not change it."""
    import antiphon as package

    recipe = write_project(tmp_path_factory.mktemp("project"))
    return Path(package.train(recipe, recipe.parent / "run"))
