"""Students of tiny teachers, from the recipe to the weights."""

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.data.byte_streams import read_lines
from antiphon.data.mapped import MappedCorpus
from antiphon.distillation import outputs as outputs_module
from antiphon.distillation.teacher import Teacher
from antiphon.errors import CheckpointError, ConfigError
from antiphon.losses.distillation import TaughtLoss
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.recipe import recipe_from
from antiphon.runs.train import train
from antiphon.store import checkpoint

WORDS = ("abc", "bca", "cab", "abca", "bb", "ca", "acb", "ccab", "ba", "aab", "bcc", "cba")
RECORDS = [{"source": word, "target": word[::-1]} for word in WORDS]
DATA = {"train": RECORDS}
LSTM = {"name": "lstm", "dim": 8}
SHALLOW = {"name": "transformer", "dim": 8, "heads": 2, "feed_forward_dim": 8, "encoder_layers": 2, "decoder_layers": 1}


def recipe_of(model: Mapping[str, Any] = LSTM, **changes: Any) -> Any:
    task = changes.pop("task", {"name": "translation", "vocabulary": {"kind": "character"}})
    training = {"max_steps": 4, "save_every": 2, "validate_every": 4, "batching": {"target_tokens": 20}, **changes.pop("training", {})}
    values = {"task": task, "model": model, "data": {"validation": 2}, "training": training, "search": {"name": "beam", "beam_size": 2}}
    return recipe_from({**values, **changes})


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run; do not change it."""
    return train(recipe_of(training={"max_steps": 30}), tmp_path_factory.mktemp("teacher") / "run", data=DATA, console=_silent())


@cache
def _silent() -> Console:
    return Console(file=StringIO())


def student(teacher: Any, out: Path, data: Any = DATA, *, resume: bool = False, **changes: Any) -> tuple[Path, str]:
    """Train a student; its run, and what was said."""
    said = StringIO()
    run = antiphon.distill(teacher, recipe_of(**changes), out, data=data, resume=resume, console=Console(file=said, width=400))
    return run, said.getvalue()


def stored(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in read_lines(run / "distilled" / "train-0.jsonl.zst")]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read(run / "last").weights()


def test_learns_from_the_teachers_search(teacher: Path, tmp_path: Path) -> None:
    run, said = student(teacher, tmp_path / "student", distillation={"search": {"beam_size": 3}})
    lines = stored(run)
    assert len(lines) == len(RECORDS) - 2, "validation records are not decoded"
    predictor = antiphon.load(teacher).with_search({"beam_size": 3})
    assert [line["target"] for line in lines] == [found.text for found in predictor.predict([line["source"] for line in lines])]
    assert [line["source"] for line in lines] == [RECORDS[line["record"]]["source"] for line in lines]
    assert "the teacher decodes 10 training records" in said
    assert checkpoint.read(run / "last").header["distillation"]["search"]["beam_size"] == 3


def test_the_corpus_holds_what_the_teacher_said(teacher: Path, tmp_path: Path) -> None:
    run, _ = student(teacher, tmp_path / "student", distillation={"keep_references": 0.5})
    task = load_trained(run).task
    said = sorted(line["target"] for line in stored(run))
    taught, true = (MappedCorpus(run / "corpus" / f"train-{number}") for number in (0, 1))
    texts = [sorted(task.target_text.decode(corpus.example(row).target[1:-1]) for row in range(len(corpus))) for corpus in (taught, true)]
    assert texts[0] == [text for text in said if text]
    assert set(texts[1]) <= {record["target"] for record in RECORDS}
    assert len(texts[1]) == len(RECORDS) - 2


@pytest.mark.parametrize("level", ["sequence", "token", "both"])
@pytest.mark.parametrize("model", [LSTM, SHALLOW], ids=["lstm", "transformer"])
def test_any_architecture_with_the_teachers_vocabulary(teacher: Path, tmp_path: Path, level: str, model: dict[str, Any]) -> None:
    run, _ = student(teacher, tmp_path / "student", model=model, task="translation", distillation={"level": level})
    taught, learned = load_trained(teacher), load_trained(run)
    assert learned.task.fingerprint == taught.task.fingerprint
    assert learned.recipe.task == taught.recipe.task
    assert learned.recipe.model.name == model["name"]
    assert (run / "distilled").exists() == (level != "token")
    assert (run / "features" / "task.json").exists()


def test_an_ensemble_teaches(teacher: Path, tmp_path: Path) -> None:
    letters = {"train": [*RECORDS, {"source": "xyz", "target": "zyx"}] * 2}
    other = train(recipe_of(SHALLOW), tmp_path / "other", data=letters, console=_silent())
    with pytest.raises(ConfigError, match="share their vocabularies"):
        student([teacher, other], tmp_path / "student")
    like = recipe_of(SHALLOW, distillation={"level": "token"})
    other = antiphon.distill(teacher, like, tmp_path / "like", data=DATA, console=_silent())
    run, _ = student([teacher, other], tmp_path / "student", distillation={"level": "both"})
    assert len(checkpoint.read(run / "last").header["distillation"]["teachers"]) == 2


SPEAKS = {"limits": {"min_length": 2, "max_length": 4}}  # random weights would say nothing at all


@pytest.mark.parametrize("settings", [{"search": SPEAKS}, {"level": "token"}], ids=["sequence", "token"])
def test_a_published_model_teaches(tmp_path: Path, settings: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    from tests.pretrained_checkpoints import WORDS as PUBLISHED
    from tests.pretrained_checkpoints import write_checkpoint

    folder = write_checkpoint(tmp_path / "published", "marian")
    data = {"train": [{"source": f"the {word}", "target": f"der {word}"} for word in PUBLISHED]}
    task = {"name": "translation", "vocabulary": {"kind": "pretrained", "model": str(folder)}}
    model = {"name": "pretrained", "path": str(folder)}
    teacher = train(recipe_of(model, task=task, training={"max_steps": 1}), tmp_path / "teacher", data=data, console=_silent())
    changes = {"model": SHALLOW, "task": "translation", "distillation": settings, "training": {"max_steps": 1}}
    run, _ = student(teacher, tmp_path / "student", data, **changes)
    assert load_trained(run).task.target_spec == load_trained(teacher).task.target_spec
    assert isinstance(antiphon.load(run).predict("the cat").text, str)


def first_loss(run: Path) -> float:
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return float(next(event["loss"] for event in events if event["kind"] == "train"))


def test_the_loss_is_the_mixture(teacher: Path, tmp_path: Path) -> None:
    """A student that begins as its teacher is at no distance from it: of the mixture, its share of the usual loss remains."""
    training = {"init_from": str(teacher), "max_steps": 1, "log_every": 1}
    model = {**LSTM, "dropout": 0.0}
    usual = first_loss(train(recipe_of(model, training=training), tmp_path / "usual", data=DATA, console=_silent()))
    for weight in (1.0, 0.7):
        settings = {"level": "token", "weight": weight}
        run, _ = student(teacher, tmp_path / f"student{weight}", model=model, distillation=settings, training=training)
        assert first_loss(run) == pytest.approx((1 - weight) * usual, abs=1e-4)


@pytest.mark.parametrize("level", ["sequence", "token", "both"])
def test_a_resumed_student_is_bit_identical(teacher: Path, tmp_path: Path, level: str) -> None:
    settings = {"distillation": {"level": level}, "model": {**LSTM, "dropout": 0.2}}
    whole, _ = student(teacher, tmp_path / "whole", **settings)
    student(teacher, tmp_path / "parts", **settings, training={"max_steps": 2})
    parts, _ = student(teacher, tmp_path / "parts", **settings, resume=True)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(parts)[name]), name


def test_a_stop_of_the_teacher_is_resumed(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "SHARD", 3)
    whole, _ = student(teacher, tmp_path / "whole")
    decode, decoded = Teacher._decode, list[int]()

    def stop_at_third(self: Teacher, records: Sequence[Any]) -> Any:
        if len(decoded) == 2:
            raise KeyboardInterrupt
        decoded.append(len(records))
        return decode(self, records)

    monkeypatch.setattr(Teacher, "_decode", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        student(teacher, tmp_path / "parts")
    monkeypatch.setattr(Teacher, "_decode", decode)
    parts, said = student(teacher, tmp_path / "parts", resume=True)
    assert "6 outputs are there already" in said
    assert stored(parts) == stored(whole)
    assert all(torch.equal(tensor, weights(parts)[name]) for name, tensor in weights(whole).items())


def test_outputs_are_used_again(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = student(teacher, tmp_path / "student", training={"max_steps": 2})
    monkeypatch.setattr(Teacher, "_decode", None)
    _, said = student(teacher, tmp_path / "student", resume=True, training={"max_steps": 4})
    assert "the teacher decodes" not in said
    shutil.copytree(run / "distilled", tmp_path / "new" / "distilled")
    student(teacher, tmp_path / "new")


def test_the_teacher_stays_as_it_is(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    original = Teacher.loss

    def spy(self: Teacher, loss: Any) -> Any:
        made = original(self, loss)
        seen.append((made.teacher, {name: tensor.clone() for name, tensor in made.teacher.state_dict().items()}))
        return made

    monkeypatch.setattr(Teacher, "loss", spy)
    student(teacher, tmp_path / "student", distillation={"level": "token"}, training={"optimizer": {"name": "adamw", "learning_rate": 0.1}})
    [(model, before)] = seen
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_token_level_asks_for_every_real_step(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = TaughtLoss.__call__

    def spy(own: TaughtLoss, output: Any, labels: Any, weights: Any = None) -> Any:
        asked.append((labels.values.shape, own.teacher.features.shape[:2], own.temperature))
        return original(own, output, labels, weights)

    monkeypatch.setattr(TaughtLoss, "__call__", spy)
    student(teacher, tmp_path / "student", distillation={"level": "token", "temperature": 2.0}, training={"max_steps": 2})
    assert len(asked) == 2
    assert all(labels == taught and temperature == 2.0 for labels, taught, temperature in asked)


# ------------------------------------------------------------------------------------------------------------- vocabularies


def test_an_own_vocabulary(teacher: Path, tmp_path: Path) -> None:
    task = {"name": "translation", "vocabulary": {"kind": "byte"}}
    for number, settings in enumerate(({}, {"vocabulary": "own"})):
        run, _ = student(teacher, tmp_path / f"student{number}", task=task, distillation=settings)
        assert load_trained(run).recipe.task.vocabulary.kind == "byte"
    with pytest.raises(ConfigError, match=r"`distillation.level` must be `sequence` when the source vocabulary of the student is not"):
        student(teacher, tmp_path / "token", task=task, distillation={"level": "both"})
    with pytest.raises(CheckpointError, match="`kind` must be 'character'"):
        student(teacher, tmp_path / "teachers", task=task, distillation={"vocabulary": "teacher"})


def test_another_prefix_is_another_source(teacher: Path, tmp_path: Path) -> None:
    task = {"name": "translation", "source_prefix": "a"}
    settings = {"level": "token", "vocabulary": "teacher"}
    with pytest.raises(ConfigError, match="`task` must prepare texts as the teacher's does"):
        student(teacher, tmp_path / "student", task=task, distillation=settings)
    run, _ = student(teacher, tmp_path / "student", task=task, distillation={"vocabulary": "teacher"})
    assert load_trained(run).task.target_spec == load_trained(teacher).task.target_spec


# ----------------------------------------------------------------------------------------------------------------- refusals


def test_refusals(teacher: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match="no run with a checkpoint"):
        student(empty, tmp_path / "student")
    with pytest.raises(CheckpointError, match="There is no run or checkpoint"):
        student(tmp_path / "nowhere", tmp_path / "student")
    with pytest.raises(ConfigError, match="The student's folder must be another than that of its teacher"):
        student(teacher, teacher)
    with pytest.raises(ConfigError, match="The student's folder must be another than that of its teacher"):
        student(teacher / "best", teacher, resume=True)
    with pytest.raises(ConfigError, match=r"must turn `word` into `target`.* turns `source` into `target`"):
        student(teacher, tmp_path / "student", task={"name": "translation", "source": "word", "vocabulary": {"kind": "byte"}})
    with pytest.raises(ConfigError, match=r"`distillation.search.beam` is not a setting"):
        student(teacher, tmp_path / "student", distillation={"search": {"beam": 3}})
    with pytest.raises(ConfigError, match=r"`distillation.teachers` is missing"):
        train(recipe_of(distillation={}), tmp_path / "student", data=DATA)
    assert not (tmp_path / "student").exists(), "nothing is begun that cannot be done"


def test_a_task_whose_targets_stand_in_no_column(tmp_path: Path) -> None:
    """Filling gaps: there are probabilities to learn from, but no output of a search could be stored as a target."""
    task = {"name": "denoising", "text": "source", "vocabulary": {"kind": "character"}}
    teacher = train(recipe_of(task=task), tmp_path / "teacher", data=DATA, console=_silent())
    with pytest.raises(ConfigError, match="must be `token` for `denoising`"):
        student(teacher, tmp_path / "student", task=task)
    student(teacher, tmp_path / "student", task=task, distillation={"level": "token"})


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"temperature": 2.0}, "temperature"), ({"level": "token", "keep_references": 1.0}, "keep_references")],
)
def test_settings_without_effect(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` must be left out with `level: "):
        recipe_of(distillation=settings)


def test_a_teacher_of_another_task(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"must do the student's task, but the run in .* does `translation`, and `task.name` is `denoising`"
    ):
        student(teacher, tmp_path / "student", task={"name": "denoising", "vocabulary": {"kind": "character"}})


def test_another_teacher_is_noticed(teacher: Path, tmp_path: Path) -> None:
    other = train(recipe_of(seed=2), tmp_path / "other", data=DATA, console=_silent())
    student(teacher, tmp_path / "student", distillation={"level": "token"}, training={"max_steps": 2})
    with pytest.raises(CheckpointError, match="The teacher is not the one that the run"):
        student(other, tmp_path / "student", distillation={"level": "token"}, resume=True)
    shutil.copytree(teacher, tmp_path / "moved", symlinks=True)
    student(tmp_path / "moved", tmp_path / "student", distillation={"level": "token"}, resume=True)
