"""A file in the place of a run, or a format that cannot hold a model, is told with what to name instead."""

from pathlib import Path

from tests.cli.conftest import Command


def test_a_file_is_no_run(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "es.yaml").write_text("task: translation\n", encoding="utf-8")
    (tmp_path / "a.tsv").write_text("en\tno\n", encoding="utf-8")
    recipe, data, page = antiphon("evaluate", "es.yaml"), antiphon("evaluate", "a.tsv"), antiphon("report", "es.yaml")
    assert (recipe.status, data.status, page.status) == (1, 1, 1)
    assert "A run is a folder, but es.yaml is a file, a recipe. It is trained by `antiphon train es.yaml`" in recipe.err
    assert data.err == "antiphon: A run is a folder, but a.tsv is a file. Name the folder that `antiphon train` wrote.\n"
    assert page.err.startswith("antiphon: A report needs a run, which is a folder, but es.yaml is a file.")


def test_a_recipe_needs_its_folder(antiphon: Command) -> None:
    result = antiphon("new", "translation", "nowhere/a.yaml")
    assert (result.status, result.err) == (1, "antiphon: nowhere/a.yaml cannot be written: there is no folder nowhere.\n")


def test_an_lstm_is_exported_by_other_formats(antiphon: Command, trained: Path) -> None:
    result = antiphon("export", trained)
    assert result.status == 1
    assert "which transformers does not know. `--format onnx` or `torch` may hold it; `antiphon list exporters` names all." in result.err


def test_the_best_metric_in_other_letters_is_proposed(antiphon: Command, trained: Path) -> None:
    result = antiphon("inspect", trained, "--set", "training.best=chrF")
    assert result.status == 1
    assert "but is 'chrF'. Did you mean `chrf`?" in result.err
