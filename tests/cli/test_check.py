"""`antiphon check` finds what training would stumble over, each at its part, and trains nothing."""

import json
import sys
from pathlib import Path

import polars
import pytest

from tests.cli.conftest import Command

WRONG = [
    ("model.dimm=3", "recipe", "Did you mean `dim`?"),
    ("task.target=nor", "data.train", "Did you mean `no`?"),
    ("data.train=missing.tsv", "data.train", "missing.tsv"),
    ("data.train=null", "data.train", "`data.train` is missing"),
    ("data.validation=null", "data.validation", "`data.validation` is missing"),
    ("data.validation=40", "data.validation", "(40), but is 40"),
    ("data.test=empty.tsv", "data.test", "empty.tsv"),
    ("data.cache=train.tsv/cache", "data.cache", "train.tsv is a file"),
    ("evaluation.metrics=[chrff]", "recipe", "Did you mean `chrf`?"),
    ("training.best=bleu", "evaluation.metrics", "`training.best`"),
    ("training.device=mps", "training.device", "`training.device` must not be `mps` on this machine: PyTorch finds"),
    ("training.trackers=[wandb]", "training.trackers", "pip install '.[wandb]'"),
    ("training.tensorboard=true", "training.trackers", "pip install '.[track]'"),
    ("training.init_from=nowhere", "training.init_from", "nowhere"),
    ("distillation.teachers=[nowhere]", "distillation.teachers", "nowhere"),
    ("search={name: beam, language_model: {ngram: none.arpa}}", "search.language_model", "none.arpa"),
    ("model={name: pretrained, path: ./nowhere}", "model.path", "There is no folder"),
    ("training.freeze=[nothing.*]", "model", "nothing.*"),
    ("training.compile=true", "model", "`training.compile` must be false for this LSTM"),
    ("training.loss=pointer", "training.loss", "`model.head: pointer`"),
    ("training.loss=huber", "training.loss", "`cross_entropy`"),
    ("search=ctc", "search", "an output for each frame"),
]


@pytest.mark.parametrize(("change", "part", "text"), WRONG)
def test_mistakes_are_found_at_their_part(
    antiphon: Command, project: Path, monkeypatch: pytest.MonkeyPatch, change: str, part: str, text: str
) -> None:
    for package in ("wandb", "tensorboard"):
        monkeypatch.setitem(sys.modules, package, None)
    (project.parent / "empty.tsv").write_text("en\tno\n")
    before = sorted(project.parent.iterdir())
    result = antiphon("check", project, "--set", change, "--json")
    assert (result.status, result.err) == (1, "")
    found = json.loads(result.out)
    assert not found["sound"]
    wrong = [(finding["part"], finding["text"]) for finding in found["findings"] if finding["state"] == "wrong"]
    assert len(wrong) == (3 if change == "task.target=nor" else 1)  # each split lacks the column
    assert wrong[0][0] == part
    assert text in wrong[0][1]
    assert sorted(project.parent.iterdir()) == before, "nothing is written"


def test_a_sound_recipe(antiphon: Command, project: Path) -> None:
    result = antiphon("check", project, "--set", "data.cache=new/cache")
    assert (result.status, result.err) == (0, "")
    lines = [line.split(maxsplit=2) for line in result.out.splitlines()]
    assert {line[0] for line in lines} == {"ok"}
    assert {line[1]: line[2] for line in lines} == {
        "recipe": "translation with lstm",
        "evaluation.metrics": "chrf, exact_match can be computed",
        "training.device": "cpu",
        "data.cache": f"{project.parent / 'new' / 'cache'} can be made",
        "data.train": f"{project.parent / 'train.tsv'}: 40 records were read",
        "data.validation": f"{project.parent / 'validation.tsv'}: 10 records were read",
        "data.test": f"{project.parent / 'test.tsv'}: 10 records were read",
        "model": "lstm: about 5,904 parameters",
        "training.loss": next(line[2] for line in lines if line[1] == "training.loss"),
        "search": "beam finds outputs of the model",
    }
    assert not (project.parent / "new").exists()


def test_only_the_first_records_are_read(antiphon: Command, project: Path) -> None:
    with open(project.parent / "train.tsv", "a", encoding="utf-8") as file:
        file.write("ab1\tba\n" * 300 + "one column\n")
    result = antiphon("check", project)
    assert result.status == 0, result.out
    assert "train.tsv: 200 records, the first, were read" in result.out


@pytest.mark.parametrize("task", ["summarization", "language_modeling", "denoising"])
def test_other_tasks(antiphon: Command, project: Path, task: str) -> None:
    columns = "source: en, target: no" if task == "summarization" else "text: en"
    model = "decoder_only" if task == "language_modeling" else "transformer"
    size = "decoder: {name: lstm, dim: 16}" if task == "language_modeling" else "dim: 16, heads: 2"
    changes = (f"task={{name: {task}, {columns}}}", f"model={{name: {model}, {size}}}", "evaluation={}", "search=beam")
    result = antiphon("check", project, *(part for change in changes for part in ("--set", change)))
    assert result.status == 0, result.out


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("model={name: pretrained, path: somebody/model}", "model.path"),
        (
            "task={name: translation, source: en, target: no, vocabulary: {kind: pretrained, model: somebody/model}}",
            "task.vocabulary.model",
        ),
    ],
)
def test_what_is_fetched_is_a_note(antiphon: Command, project: Path, change: str, part: str) -> None:
    result = antiphon("check", project, "--set", change)
    assert result.status == 0, result.out
    [note] = [line for line in result.out.splitlines() if line.startswith("note")]
    assert note.split()[1] == part
    assert "somebody/model is no folder here: training takes it from the hub." in note


def test_series_that_go_on_in_the_next_file_are_looked_at(antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"a,{day},{day % 7}" for day in range(60)]
    for name, part in (("one.csv", rows[:40]), ("two.csv", rows[40:])):
        Path(name).write_text("\n".join(["unique_id,ds,y", *part]) + "\n")
    Path("s.yaml").write_text(
        "task: {name: forecasting, horizon: 3, context_length: 6}\ndata: {train: [one.csv, two.csv], validation: 3}\n"
        "model: {name: linear}\ntraining: {max_steps: 1}\n"
    )
    said = antiphon("check", "s.yaml")
    assert said.status == 0, said.err
    assert "one.csv: 40 records were read" in said.out
    assert "two.csv: 20 records were read" in said.out


def test_a_record_that_cannot_be_learned_from_is_named_by_its_place(
    antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"source": None if number == 7 else f"w{number}", "target": "a"}) for number in range(20)]
    Path("one.jsonl").write_text("\n".join(rows[:5]) + "\n")
    Path("two.jsonl").write_text("\n".join(rows[5:]) + "\n")
    Path("r.yaml").write_text(
        "task: {name: translation, vocabulary: {kind: word}}\ndata: {train: [one.jsonl, two.jsonl], validation: 8}\n"
        "model: {name: lstm, dim: 8}\ntraining: {max_steps: 1}\n"
    )
    said = antiphon("check", "r.yaml")
    assert said.status == 1
    assert "two.jsonl:3: `source` must be a text, but is null" in said.out


def test_a_pattern_and_a_folder_of_parquet_are_looked_at(antiphon: Command, project: Path) -> None:
    rows = [{"en": f"the number {number}", "no": f"tallet {number}", "part": number % 2} for number in range(20)]
    polars.DataFrame(rows).write_parquet(project.parent / "parts", partition_by="part")
    for number in range(2):
        polars.DataFrame(rows).write_ndjson(project.parent / f"part-{number}.jsonl")
    for name, count in (("part-*.jsonl", 40), ("parts", 20)):
        result = antiphon("check", project, "--set", f"data.train={project.parent / name}")
        assert f"{name}: {count} records were read" in result.out
