"""No code that a run names is imported until the user says that it is trusted: whatever the field, the command and the way there."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import antiphon as package
from antiphon.errors import AntiphonError
from antiphon.store.checkpoint import digest
from tests.cli.conftest import Command, write_project
from tests.cli.test_bad_input import says

SPY = "foreign_code.spy"
NAMES = (("model", "name"), ("training", "loss", "name"), ("search", "metric"), ("evaluation", "metrics", 0))
Keys = tuple[str | int, ...]


@pytest.fixture
def foreign(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of a run, and beside it the code that it will name."""
    code = tmp_path / "code" / "foreign_code"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("")
    (code / "spy.py").write_text("plugin = None\n")
    monkeypatch.syspath_prepend(str(code.parent))
    monkeypatch.delenv("ANTIPHON_TRUST_CODE", raising=False)
    yield shutil.copytree(trained, tmp_path / "foreign", symlinks=True)
    for name in ("foreign_code", SPY):
        sys.modules.pop(name, None)


def leaves(values: Any, keys: Keys = ()) -> Iterator[Keys]:
    """The path of every text in plain values."""
    if isinstance(values, str):
        yield keys
    for key, inner in values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ():
        yield from leaves(inner, (*keys, key))


def named(recipe: dict[str, Any], keys: Keys) -> dict[str, Any]:
    """The recipe with the name of foreign code in one place; settings beside a name are those of another plug-in, and go."""
    recipe = json.loads(json.dumps(recipe))
    place: Any = recipe
    for key in keys[:-1]:
        if isinstance(place, dict) and place.get(key) is None:
            place[key] = {}
        place = place[key]
    if keys[-1] == "name":
        place.clear()
    if keys == ("search", "metric"):
        place.clear()
        place["name"] = "mbr"
    place[keys[-1]] = SPY
    return recipe


def put(run: Path, keys: Keys) -> None:
    """Write the name into a run: into its recipe, and into its checkpoint."""
    for place in (run / "best", run / "last"):
        header = place / "checkpoint.json"
        saved = json.loads(header.read_text())
        saved["recipe"] = named(saved["recipe"], keys)
        if keys == ("model", "name"):
            saved["model"]["name"] = SPY
        header.write_text(json.dumps(saved))
        manifest = place / "manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "checkpoint.json": digest(header)}))
        if (run / "best").resolve() == (run / "last").resolve():
            break
    values = YAML(typ="safe", pure=True).load((run / "recipe.yaml").read_text())
    with open(run / "recipe.yaml", "w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(named(values, keys), file)


def ways(antiphon: Command, run: Path, recipe: Path, mine: Path, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """All that reads a run, by name. `recipe` and `mine` are a recipe and a run of the user's."""
    data = ("--input", recipe.parent / "validation.tsv")
    train = ("train", recipe, "--out", tmp_path / "trained")
    return {
        "predict": lambda: antiphon("predict", run, *data, "--output", tmp_path / "out.txt"),
        "evaluate": lambda: antiphon("evaluate", run),
        "compare": lambda: antiphon("evaluate", mine, "--compare", run),
        "inspect": lambda: antiphon("inspect", run),
        "tune": lambda: antiphon("tune", run, "--grid", "beam_size=1", "--dry-run"),
        "export": lambda: antiphon("export", run, "--format", "hf", "--out", tmp_path / "export"),
        "report": lambda: antiphon("report", run),
        "resume": lambda: antiphon("train", recipe, "--out", run, "--resume"),
        "train": lambda: antiphon("train", run / "recipe.yaml", "--out", tmp_path / "trained"),
        "init_from": lambda: antiphon(*train, "--set", f"training.init_from={run}"),
        "adapter": lambda: antiphon(*train, "--set", f"model={{name: adapted, run: {run}}}"),
        "vocabulary": lambda: antiphon(*train, "--set", f"task.target_vocabulary={{run: {run}}}"),
        "language model": lambda: antiphon("predict", mine, *data, "--set", f"search.language_model={{run: {run}}}"),
        "distill": lambda: antiphon("distill", run, recipe, "--out", tmp_path / "trained"),
        "load": lambda: package.load(run),
        "Python evaluate": lambda: package.evaluate(run),
        "Python tune": lambda: package.tune(run, dry_run=True),
        "Python export": lambda: package.export(run, out=tmp_path / "export"),
    }


def try_all(antiphon: Command, foreign: Path, trained: Path, tmp_path: Path, fields: tuple[Keys, ...]) -> None:
    """Every way with the name in every field."""
    whole, mine = (shutil.copytree(trained, tmp_path / name, symlinks=True) for name in ("whole", "mine"))
    (tmp_path / "project").mkdir()
    recipe = write_project(tmp_path / "project")
    recipe.write_text(recipe.read_text().replace("max_steps: 12", "max_steps: 1"))
    for keys in fields:
        shutil.rmtree(foreign)
        shutil.copytree(whole, foreign, symlinks=True)
        put(foreign, keys)
        for name, way in ways(antiphon, foreign, recipe, mine, tmp_path).items():
            for left in (tmp_path / "trained", tmp_path / "export"):
                shutil.rmtree(left, ignore_errors=True)
            with suppress(AntiphonError):
                way()
            assert SPY not in sys.modules, f"{name} imported what {'.'.join(map(str, keys))} names"


@pytest.mark.parametrize("keys", NAMES, ids=lambda keys: ".".join(map(str, keys)))
def test_no_command_imports_what_a_run_names(antiphon: Command, foreign: Path, trained: Path, tmp_path: Path, keys: Keys) -> None:
    try_all(antiphon, foreign, trained, tmp_path, (keys,))


@pytest.mark.slow
def test_no_command_imports_what_any_field_names(antiphon: Command, foreign: Path, trained: Path, tmp_path: Path) -> None:
    fields = set(leaves(json.loads((trained / "best" / "checkpoint.json").read_text())["recipe"]))
    assert len(fields) > 20
    fields |= {("training", "loss", "name"), ("model", "head", "name"), ("search", "metric")}  # that the run leaves out
    try_all(antiphon, foreign, trained, tmp_path, tuple(sorted(fields, key=str)))


@pytest.mark.parametrize(
    ("keys", "real"),
    [(("training", "loss", "name"), "losses.cross_entropy"), (("evaluation", "metrics", 0), "metrics.chrf")],
    ids=["loss", "metric"],
)
def test_it_is_imported_when_the_user_says_so(antiphon: Command, foreign: Path, tmp_path: Path, keys: Keys, real: str) -> None:
    (tmp_path / "code" / "foreign_code" / "spy.py").write_text(f"from antiphon.{real} import plugin as plugin\n")
    put(foreign, keys)
    says(antiphon("evaluate", foreign), SPY, "trust_code=True", "--trust-code", "ANTIPHON_TRUST_CODE=1")
    assert SPY not in sys.modules
    antiphon("evaluate", foreign, "--trust-code")
    assert SPY in sys.modules
