"""Learning from plain text: noise anew each epoch and fixed for validation, masks that users write, weights for another task."""

import json
from io import StringIO
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Records
from antiphon.contracts.registry import find
from antiphon.contracts.sequences import Hypothesis
from antiphon.contracts.task import Task
from antiphon.data.records import open_records
from antiphon.errors import AntiphonError, ConfigError, DataError
from antiphon.recipe.assembly import build_task
from antiphon.recipe.recipe import Recipe, read_recipe, recipe_from
from antiphon.runs.train import train
from antiphon.tasks.denoising import NOISE, Denoising, DenoisingConfig

THINGS, VERBS = ("file", "window", "door"), ("is opened", "was closed")
TEXTS = [f"The {thing} {verb} {place}." for thing in THINGS for verb in VERBS for place in "abcde"]
RECORDS = [{"text": text} for text in TEXTS]
KINDS = [
    {"kind": "unigram", "size": 220, "byte_fallback": False},
    {"kind": "bpe", "size": 220, "byte_fallback": False},
    {"kind": "word"},
    {"kind": "character"},
    {"kind": "byte"},
]


def fitted(**settings: Any) -> Denoising:
    task = Denoising(DenoisingConfig(**{"vocabulary": {"kind": "word"}, **settings}))
    task.fit([dict.fromkeys(task.columns, text) for text in TEXTS])
    return task


def records_of(given: Any) -> Records:
    return open_records(given, required=(), source_column="text", target_column="target")


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "task": {"name": "denoising", "vocabulary": {"kind": "word"}, "masks": 4},
        "model": {"name": "lstm", "dim": 24, "tied_embeddings": "all", "attention": "dot"},
        "data": {"validation": 6},
        "training": {
            "max_steps": 60,
            "validate_every": 20,
            "device": "cpu",
            "batching": {"target_tokens": 60},
            "optimizer": {"name": "adamw", "learning_rate": 1e-2},
            "schedule": {"name": "constant", "warmup_steps": 0},
        },
        "search": "greedy",
        "evaluation": {"resamples": 10},
    }
    return recipe_from({**values, **changes})


def run(folder: Path, given: Recipe, records: Any = None) -> tuple[Path, str]:
    said = StringIO()
    return train(given, folder, data={"train": records or RECORDS}, console=Console(file=said, width=300)), said.getvalue()


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("scheme", ["spans", "infilling"])
@pytest.mark.parametrize("vocabulary", KINDS, ids=lambda kind: str(kind["kind"]))
def test_each_epoch_hides_something_else_of_the_same_text(scheme: str, vocabulary: dict[str, Any]) -> None:
    task = fitted(scheme=scheme, vocabulary=vocabulary)
    [record] = task.items([RECORDS[0]], scored=True)
    first = task.encode(record, 7)
    epochs = [task.augment(first, seed) for seed in range(6)]
    assert len({tuple(epoch.source) for epoch in epochs}) > 1
    assert np.array_equal(epochs[0].source, task.augment(epochs[3], 0).source), "whatever it was hidden by before"
    assert np.array_equal(epochs[2].source, task.encode(record, seed=2).source), "encoding with a seed is the same noise"
    assert {epoch.record for epoch in epochs} == {7}
    for epoch in epochs:
        assert epoch.target is not None
        assert epoch.source[-1] == epoch.target[-1] == task.source_spec.end
        hypothesis = Hypothesis(epoch.target[1:-1], 0.0, 0.0)
        assert task.decode([hypothesis], epoch).value == task.reference(record) == TEXTS[0]


def test_validation_noise_depends_on_the_text_alone() -> None:
    task = fitted()
    [one], [again] = (list(task.items([RECORDS[3]], scored=True)) for _ in range(2))
    assert np.array_equal(task.encode(one, 1).source, task.encode(again, 9).source)
    assert "<mask_0>" in task.source_of(one)


def test_stored_corpora_are_augmented_from_their_own_types(tmp_path: Path) -> None:
    task = fitted()
    corpus = task.build_corpus(records_of(RECORDS), tmp_path / "corpus", limits=Limits(), keep_records=False)
    assert corpus.example(0).source.dtype == np.uint8
    assert task.augment(corpus.example(0), 3).source.dtype == np.int64
    assert not corpus.keeps_records


def test_a_cut_target_leaves_no_mask_in_the_text(tmp_path: Path) -> None:
    task = fitted(density=0.6, mean_span_length=1, vocabulary={"kind": "character"})
    limits = Limits(max_target_length=4, too_long="truncate")
    corpus = task.build_corpus(records_of(RECORDS), tmp_path / "corpus", limits=limits, keep_records=False)
    drawn = task.augment(corpus.example(0), 3)
    assert drawn.target is not None
    masks = [piece for piece in task.pieces("target", drawn.target) if piece.startswith("<mask")]
    assert len(masks) == len(set(masks))


def test_several_columns_are_several_texts(tmp_path: Path) -> None:
    task = fitted(text=("description", "title"))
    records = [{"description": TEXTS[0], "title": TEXTS[1], "other": 1}, {"description": TEXTS[2], "title": ""}]
    corpus = task.build_corpus(records_of(records), tmp_path / "corpus", limits=Limits(), keep_records=True)
    assert [corpus.record(row)["description"] for row in range(len(corpus))] == TEXTS[:3]
    assert corpus.numbers.tolist() == [0, 1, 2]
    assert corpus.tally["dropped"] == {"empty source": 1}
    unfolded = task.unfold(records_of(records))
    assert unfolded.place(3) == records_of(records).place(1)


def test_a_text_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "a b"}\n{"text": null}\n')
    task = fitted()
    records = records_of(tmp_path / "texts.jsonl")
    with pytest.raises(DataError, match=r"texts.jsonl:2: `text` must be a text, but is null"):
        task.build_corpus(records, tmp_path / "corpus", limits=Limits(), keep_records=False)


def test_a_text_that_holds_a_mask_is_refused(tmp_path: Path) -> None:
    records = records_of([*RECORDS, {"text": "The <mask_3> is open."}])
    with pytest.raises(DataError, match=r"must not hold `<mask_3>`.*mask_name"):
        fitted().build_corpus(records, tmp_path / "corpus", limits=Limits(), keep_records=False)
    renamed = fitted(mask_name="hidden").build_corpus(records, tmp_path / "other", limits=Limits(), keep_records=False)
    assert len(renamed) == len(RECORDS) + 1


@pytest.mark.parametrize("vocabulary", KINDS[:3], ids=lambda kind: str(kind["kind"]))
def test_masks_that_users_write_look_like_those_of_training(vocabulary: dict[str, Any]) -> None:
    task = fitted(vocabulary=vocabulary, whole_words=True)
    [record] = task.items([RECORDS[0]], scored=True)
    hidden = task.encode(record)
    shown = task.source_of(record)
    written = shown if vocabulary["kind"] == "word" else shown.replace("<mask_0>", " <mask_0>")
    assert np.array_equal(task.encode({"text": written}).source, hidden.source)
    assert task.encode({"text": written}).target is None


def test_a_text_without_masks_cannot_be_filled() -> None:
    with pytest.raises(DataError, match="must hold a mask to be filled, such as `<mask_0>`"):
        fitted().encode({"text": "The file is opened."})
    assert fitted(scheme="infilling").encode({"text": "The file."}).target is None, "a text may be written anew as a whole"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"permute_sentences": True}, "only with `scheme: infilling`"),
        ({"scheme": "infilling", "masks": 3}, "only with `scheme: spans`"),
        ({"text": ["a", "a"]}, "several different ones"),
        ({"density": 1.0}, "density"),
        ({"vocabulary": {"kind": "pretrained", "model": "x"}}, "must not be `pretrained`"),
        ({"mask_name": "a b"}, "mask_name"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe(task={"name": "denoising", **settings})


def test_the_template_reads(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(find("tasks", "denoising").template.format(file=path))
    assert read_recipe(path).task.columns == ("text",)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = run(tmp_path_factory.mktemp("denoising") / "run", recipe())
    return folder


def test_training_lowers_the_loss(pretrained: Path) -> None:
    losses = [event["scores"]["loss"] for event in events(pretrained) if event["kind"] == "validation"]
    assert losses[-1] < 0.8 * np.log(antiphon.load(pretrained).task.target_spec.size), losses
    assert losses[-1] < losses[0]


def test_predict_fills_masks(pretrained: Path) -> None:
    model = antiphon.load(pretrained)
    found = model.predict("The <mask_0> is opened a.")
    assert found.text.startswith("The ")
    assert found.text.endswith(" is opened a.")
    assert set(found.details["filled"]) <= {"<mask_0>"}
    kept = model.predict(["The <mask_0> is.", "nothing"], on_error="keep")
    assert "must hold a mask" in kept[1].details["error"]


def test_evaluate_hides_texts_and_shows_what_leaving_out_would_give(pretrained: Path) -> None:
    found = antiphon.evaluate(pretrained, RECORDS[:8])
    assert {score.name for score in found.scores} == {"exact_match", "chrf", "loss", "perplexity"}
    assert all("<mask_0>" in item.source for item in found.items)
    assert [item.references[0] for item in found.items] == TEXTS[:8]
    assert next(score.value for score in found.baselines["left_out"] if score.name == "exact_match") == 0


def test_a_resumed_run_sees_the_same_noise(tmp_path: Path) -> None:
    def steps(most: int) -> Recipe:
        return recipe(training={"max_steps": most, "validate_every": 3, "device": "cpu"})

    whole, _ = run(tmp_path / "whole", steps(6))
    parts, _ = run(tmp_path / "parts", steps(3))
    train(steps(6), parts, resume=True, data={"train": RECORDS}, console=Console(file=StringIO()))
    weights = [antiphon.load(folder / "last").model.state_dict() for folder in (whole, parts)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


PAIRS = [{"source": text, "target": text.upper()} for text in TEXTS]


def fine_tuning(run: Path, **changes: Any) -> Recipe:
    task = {"name": "translation", "vocabulary": {"run": str(run)}}
    training = {"max_steps": 1, "device": "cpu", "init_from": str(run), "freeze": ["*frontend*", "encoder*"]}
    return recipe(**{"task": task, "training": training, **changes})


def test_fine_tuning_begins_with_all_weights(pretrained: Path, tmp_path: Path) -> None:
    folder, said = run(tmp_path / "run", fine_tuning(pretrained), PAIRS)
    earlier, later = (antiphon.load(path) for path in (pretrained, folder))
    assert later.task.source_spec.fingerprint == earlier.task.source_spec.fingerprint
    assert "<mask_0>" in later.task.pieces("source", np.arange(later.task.source_spec.size))
    assert "fresh" not in said
    assert "left over" not in said
    before, after = earlier.model.state_dict(), later.model.state_dict()
    assert set(before) == set(after)
    frozen = [name for name in after if "frontend" in name or name.startswith("encoder")]
    assert all(torch.equal(before[name], after[name]) for name in frozen)


def test_a_run_needs_the_earlier_one_no_more(pretrained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "earlier"
    import shutil

    shutil.copytree(pretrained, copy, symlinks=True)
    folder, _ = run(tmp_path / "run", fine_tuning(copy), PAIRS)
    shutil.rmtree(copy)
    assert antiphon.load(folder).predict(TEXTS[0]).hypothesis.finish_reason in ("end", "length")


@pytest.mark.parametrize("vocabulary", KINDS, ids=lambda kind: str(kind["kind"]))
def test_any_vocabulary_can_be_used_again(vocabulary: dict[str, Any], tmp_path: Path) -> None:
    task = fitted(vocabulary=vocabulary)
    (tmp_path / "run" / "features").mkdir(parents=True)
    task.save(tmp_path / "run" / "features")
    again = build_task(recipe(task={"name": "translation", "vocabulary": {"run": str(tmp_path / "run")}}))
    again.fit([])
    assert isinstance(again, Task)
    assert again.source_spec.fingerprint == task.source_spec.fingerprint
    (tmp_path / "saved").mkdir()
    again.save(tmp_path / "saved")
    other = build_task(recipe(task={"name": "translation", "vocabulary": {"run": "gone"}}))
    other.load(tmp_path / "saved")
    said = [one.encode({"source": "The ﬁle is <mask_1>."}).source.tolist() for one in (again, other)]
    assert said[0] == said[1]
    assert task.pieces("source", np.array(said[0])).count("<mask_1>") == 1


def test_a_run_without_one_vocabulary_is_refused(tmp_path: Path) -> None:
    for side in ("source", "target"):
        (tmp_path / "run" / "features" / side).mkdir(parents=True)
        (tmp_path / "run" / "features" / side / "text.json").write_text("{}")
    for folder, message in (("run", "has two. Name one"), ("gone", "is not there"), ("run/features", "has none")):
        task = build_task(recipe(task={"name": "translation", "vocabulary": {"run": str(tmp_path / folder)}}))
        with pytest.raises(ConfigError, match=message):
            task.fit([])


def test_a_vocabulary_without_the_masks_is_refused(tmp_path: Path) -> None:
    other = fitted(mask_name="other")
    (tmp_path / "features").mkdir()
    other.save(tmp_path / "features")
    with pytest.raises(AntiphonError, match=r"that lacks <mask_0>.*learn another vocabulary"):
        fitted(vocabulary={"run": tmp_path})


def test_a_setting_beside_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="`lowercase` must be left out, since the vocabulary of `run` decides it"):
        recipe(task={"name": "translation", "vocabulary": {"run": "x", "lowercase": True}})


def test_paths_of_runs_start_from_the_recipe(tmp_path: Path) -> None:
    values = {"task": {"name": "denoising", "vocabulary": {"run": "earlier"}}, "model": "lstm", "training": {"max_steps": 1}}
    assert recipe_from(values, tmp_path).task.vocabulary.run == tmp_path / "earlier"


def test_the_noise_field_is_no_column() -> None:
    assert NOISE not in fitted().columns


@pytest.mark.parametrize("vocabulary", KINDS, ids=lambda kind: str(kind["kind"]))
def test_a_copy_in_another_process_hides_the_same(vocabulary: dict[str, Any]) -> None:
    task = fitted(vocabulary=vocabulary, scheme="infilling", whole_words=vocabulary["kind"] in ("unigram", "bpe"))
    example = task.encode({"text": TEXTS[0], NOISE: 1})
    hidden = task.augment(example, 5)
    copy = ForkingPickler.loads(ForkingPickler.dumps(task))
    assert copy.source_spec == task.source_spec
    assert copy.augment(example, 5).source.tolist() == hidden.source.tolist()
