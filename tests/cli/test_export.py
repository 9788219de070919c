"""antiphon export: from a run to a folder, or one sentence that says why not."""

from pathlib import Path

from tests.cli.conftest import Command
from tests.pretrained_checkpoints import write_checkpoint

RECIPE = """\
task: {name: translation, vocabulary: {kind: pretrained, model: base}}
model: {name: pretrained, path: base, adapter: {rank: 2}}
data: {train: train.tsv, validation: 2}
training: {max_steps: 1, samples: 0}
"""


def test_export_writes_a_folder_for_transformers(antiphon: Command, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "base", "bart")
    rows = ["source\ttarget", *(f"the cat {word}\tder hund" for word in ("sat", "lief", "mat", "weg", "und"))]
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    assert antiphon("train", "recipe.yaml", "--out", "run").status == 0
    result = antiphon("export", "run", "--set", "search.coverage_penalty=0.1")
    assert result.status == 0, result.err
    assert result.out == "Wrote run/exports/hf\n"
    assert "`search.coverage_penalty: 0.1` has no counterpart" in result.err
    assert (tmp_path / "run/exports/hf/model.safetensors").is_file()
    quiet = antiphon("export", "run", "--set", "search.coverage_penalty=0.1", "--out", "other", "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    again = antiphon("export", "run", "--format", "hf")
    assert (again.status, again.out) == (1, "")
    assert again.err.startswith("antiphon: run/exports/hf exists already.")


def test_what_cannot_be_exported_is_one_sentence(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    result = antiphon("export", trained, "--out", tmp_path / "out")
    assert (result.status, result.out) == (1, "")
    assert "is a `lstm` of our own" in result.err
    assert "There is no exporters plug-in `gguf`; there are: ctranslate2, hf" in antiphon("export", trained, "--format", "gguf").err
    assert antiphon("list", "exporters").out.startswith("ctranslate2")
