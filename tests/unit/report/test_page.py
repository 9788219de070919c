"""The whole page: complete, self-contained, safe, and true to the run."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.errors import CheckpointError, DataError
from antiphon.recipe.recipe import recipe_from
from antiphon.report.markup import display_width
from antiphon.report.page import write_report
from antiphon.report.run_record import read_run
from tests.unit.report.runs import EVENTS, ITEMS, RECIPE, evaluation, item, make_run, score, train_event

HOSTILE = "</p><script>alert(1)</script><img src=http://example.com/x onerror=alert(2)>\"' style=x"
VOID = {"br", "hr", "meta", "link", "img", "col"}


class Page(HTMLParser):
    """Reads a page as a browser would; fails where elements are not closed in order."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.identifiers: list[str] = []
        self.words: list[str] = []
        self.titles: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.identifiers += [str(value) for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["title"]:
            self.titles.append(data)
        elif self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def check_safe(page: Page, markup: str) -> None:
    """Nothing runs, nothing is fetched, nothing but the own style sheet is applied."""
    assert {"script", "iframe", "object", "embed", "link", "img", "base", "form"} & {*page.tags} == set()
    assert [name for _, name, _ in page.attributes if name.startswith("on") or name in ("style", "src", "srcset", "action")] == []
    assert all(str(value).startswith("#") for _, name, value in page.attributes if name == "href")
    assert {str(value)[1:] for _, name, value in page.attributes if name == "href"} <= {*page.identifiers}
    style = re.search(r"<style>(.*?)</style>", markup, re.DOTALL)
    assert style is not None
    assert re.search(r"url\(|@import|expression", style[1]) is None
    digest = base64.b64encode(hashlib.sha256(style[1].encode("utf-8")).digest()).decode("ascii")
    policy = next(str(value) for tag, name, value in page.attributes if tag == "meta" and name == "content" and "default-src" in str(value))
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


# ------------------------------------------------------------------------------------------------------ a trained model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that has hardly learned anything, trained on records in memory and not evaluated."""
    words = ["eins", "zwei", "drei", "<b>vier</b>"]
    records = [{"source": f"{one} {two}", "target": f"{two} {one}"} for one in words for two in words]
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}},
            "model": {"name": "lstm", "dim": 8, "attention": "dot"},
            "training": {"max_steps": 2, "log_every": 1, "validate_every": 2},
            "search": "greedy",
            "evaluation": {"resamples": 20, "metrics": ["token_error_rate", "exact_match"]},
        }
    )
    run = tmp_path_factory.mktemp("runs") / "tiny"
    return antiphon.train(recipe, run, data={"train": records, "validation": records[:6]})


def test_a_run_without_evaluation(trained: Path) -> None:
    markup = write_report(trained).read_text(encoding="utf-8")
    page = Page(markup)
    check_safe(page, markup)
    assert page.identifiers == ["training", "data", "scores", "examples", "attention", "recipe"]
    assert f"antiphon evaluate {trained}" in page.said
    assert f"antiphon inspect {trained}" in page.said
    assert "Validation samples" in page.said
    assert "records handed over by a program" in page.said
    assert "16 records of 16 read are used." in page.said


def test_an_evaluated_run(trained: Path) -> None:
    pairs = [("eins zwei", "zwei eins"), ("drei drei drei", "drei"), (HOSTILE, HOSTILE)]
    records = [{"source": source, "target": target} for source, target in pairs]
    markup = write_report(trained, data=records).read_text(encoding="utf-8")
    page = Page(markup)
    check_safe(page, markup)
    stored = json.loads((trained / "evaluations" / "records.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in stored["scores"]] == ["token_error_rate", "exact_match", "loss", "perplexity"]
    assert all(one["signature"] in page.said for one in stored["scores"])
    assert page.said.count(HOSTILE) >= 2, "as source and as reference"
    predictor = antiphon.load(trained)
    parameters = sum(parameter.numel() for parameter in predictor.model.parameters())
    assert f"{parameters:,} parameters" in page.said
    found = predictor.with_search({"alignment": True}).predict("eins zwei")
    assert found.hypothesis.alignment is not None
    for piece, row in zip(found.details["target_pieces"], np.asarray(found.hypothesis.alignment), strict=True):
        for column, weight in zip(found.details["source_pieces"], row, strict=True):
            label = piece if display_width(piece) <= 14 else f"{piece[:14]}…"
            assert any(title.startswith(f"{label} ← {column}: {weight:.1g}"[:-1]) for title in page.titles)


def test_a_model_without_attention(trained: Path, tmp_path: Path) -> None:
    recipe = antiphon.load(trained).recipe
    recipe = replace(recipe, model=replace(recipe.model, attention="none"))
    records = [{"source": "eins", "target": "eins"}, {"source": "zwei", "target": "zwei"}]
    run = antiphon.train(recipe, tmp_path / "run", data={"train": records, "validation": records})
    page = page_of(run)
    assert "gives no attention weights" in page.said
    assert "cell" not in {value for tag, name, value in page.attributes if name == "class"}


@pytest.mark.parametrize("held_out", [False, True])
def test_records_with_more_than_a_text_are_read_again(tmp_path: Path, held_out: bool) -> None:
    """The attention of a tagged record needs its tag, which an evaluation does not store; so it is read, or held out, again."""
    data = tmp_path / "data.tsv"
    rows = [f"{word}\t{word}\t{tag}" for word in ("eins", "zwei", "drei") for tag in ("up", "down")]
    data.write_text("\n".join(["source\ttarget\tway", *rows]) + "\n", encoding="utf-8")
    files: dict[str, Any] = {"train": str(data), "validation": str(data), "test": 4 if held_out else str(data)}
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}, "tags": ["way"]},
            "data": files,
            "model": {"name": "lstm", "dim": 8, "attention": "dot"},
            "training": {"max_steps": 1},
            "evaluation": {"resamples": 5, "metrics": ["exact_match"]},
        }
    )
    run = antiphon.train(recipe, tmp_path / "run")
    antiphon.evaluate(run)
    page = page_of(run)
    tags = {title.split(" ← ")[1].split(":")[0] for title in page.titles if " ← " in title} & {"<up>", "<down>"}
    assert tags == {"<up>", "<down>"}, "each map shows the tag of its record"
    data.unlink()
    assert "cannot be read again" in page_of(run).said


def test_a_checkpoint_that_cannot_be_read_leaves_the_rest(trained: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", evaluations={"test": evaluation()})
    (run / "best").mkdir()
    (run / "best" / "checkpoint.json").write_text((trained / "best" / "checkpoint.json").read_text(encoding="utf-8"), encoding="utf-8")
    page = page_of(run)
    assert "The model cannot be loaded" in page.said
    assert "one two six" in page.said


# ------------------------------------------------------------------------------------------------------ runs made by hand


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run", events=()))
    assert "Nothing is logged yet" in page.said
    assert "There is no checkpoint to look into yet" in page.said
    assert "No evaluation yet" in page.said


def test_scores_intervals_and_settings(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run", evaluations={"test": evaluation()}))
    assert "token error rate ↓ 40.00 30.00 to 50.00 signature-of-token_error_rate" in page.said
    assert "exact match ↑ 40.00 0.00 to 80.00" in page.said
    assert "token error rate: 40, 95% interval 30 to 50" in page.titles
    assert "Search: beam, beam size 4" in page.said
    assert "limits.max_length none" in page.said
    assert "the length limit ended it: 1 (20.0%)" in page.said
    assert re.search(r"\d+ of \d+ outputs reached the length limit", page.said)
    assert "5 records, 2.0 s (2.50 records per second)" in page.said
    assert "newer best checkpoint" not in page.said


def test_evaluations_of_something_else_stand_behind_those_of_the_run(tmp_path: Path) -> None:
    """An ensemble's scores are not those of the run, however new they are."""
    better = [score("exact_match", 99.0, higher=True, low=98.0, high=100.0)]
    others = {"test@step-50": "checkpoint step-50", "test@ensemble-1": "ensemble of runs/x + runs/y"}
    stored = {name: {**evaluation(scores=better), "of": of} for name, of in others.items()}
    elsewhere = {**evaluation(), "data": "/other/test.tsv"}
    page = page_of(make_run(tmp_path / "run", evaluations={"test": evaluation(), "test-1": elsewhere, **stored}))
    assert "/data/test.tsv, checkpoint step-50" in page.said
    assert "/data/test.tsv, ensemble of runs/x + runs/y" in page.said
    assert "/other/test.tsv 5 records" in page.said, "folders tell files of one name apart"
    record = read_run(tmp_path / "run")
    assert (len(record.evaluations), len(record.others)) == (2, 2)
    later = [*EVENTS, {**EVENTS[2], "step": 200, "time": 9e12}]
    only = page_of(make_run(tmp_path / "only", events=later, evaluations=stored))
    assert "The run has not been evaluated yet" in only.said
    assert "newer best checkpoint" not in only.said


def test_an_evaluation_older_than_the_checkpoint_is_marked(tmp_path: Path) -> None:
    later = [*EVENTS, {**EVENTS[2], "step": 200, "time": 9e12}]
    assert "newer best checkpoint" in page_of(make_run(tmp_path / "run", events=later, evaluations={"test": evaluation()})).said


def test_curves(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))
    assert {"training, step 20: 4", "training, step 60: 2", "validation, step 50: 3", "best: step 50: 50"} <= {*page.titles}
    assert not any("step 40" in title and "training" in title for title in page.titles), "nan cannot be drawn"
    assert {"chrF, step 50: 20", "Learning rate, step 20: 5.00e-05"} <= {*page.titles}
    for title in ("Validation chrF", "Learning rate", "Gradient norm, before clipping", "Target elements per second"):
        assert title in page.said
    assert "includes label smoothing (0.1)" in page.said
    assert "Done: 100 steps done." in page.said
    assert "No update was skipped" in page.said
    assert "train.tsv (weight 2), a.en a.de" in page.said
    assert "500 records split off the training data" in page.said


def test_what_was_out_of_the_ordinary(tmp_path: Path) -> None:
    skipped = [{"kind": "skipped", "step": step, "loss": "inf", "gradient_norm": "nan", "records": list(range(12))} for step in range(30)]
    events = [*EVENTS, *skipped, {"kind": "split", "step": 7, "pieces": 4}, {"kind": "new", "step": 8, "message": "something <new>"}]
    said = page_of(make_run(tmp_path / "run", events=events)).said
    assert "30 updates skipped" in said
    assert "The first 20 are listed." in said
    assert "0, 1, 2, 3, 4, 5, 6, 7 and 4 more" in said
    assert "1 update done in pieces, because memory ran out: step 7 (in 4 pieces)." in said
    assert "something <new>" in said


def test_examples_show_what_differs(tmp_path: Path) -> None:
    markup = write_report(make_run(tmp_path / "run", evaluations={"test": evaluation()})).read_text(encoding="utf-8")
    assert 'one two <mark class="wrong">three</mark>' in markup
    assert 'one two <mark class="missed">six</mark>' in markup
    page = Page(markup)
    assert "item 1 · token error rate 0" in page.said
    assert "(empty)" in page.said
    assert "also right" in page.said, "of several references, the one that is not the nearest"
    for title in ("Best", "Typical", "Worst", "Longest sources", "Drawn at random"):
        assert title in page.said


def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    long = [item("s " * 2000, "word " * 1000, ["word " * 1000])]
    assert "(3,800 more characters)" in page_of(make_run(tmp_path / "run", evaluations={"test": evaluation(items=long)})).said


def test_hostile_data_stays_data(tmp_path: Path) -> None:
    """Whatever a recipe, a log, an evaluation or an audit holds."""
    events = [*EVENTS, {"kind": HOSTILE, "step": HOSTILE, "message": HOSTILE}, {"kind": "train", "step": [], "epoch": {}, "loss": HOSTILE}]
    items = [item(HOSTILE, HOSTILE, [HOSTILE]), item("\ud800\x00\u202e", "\ud800", ["\x1b"])]
    scores = [score("token_error_rate", float("nan"), higher=False), score(HOSTILE, float("inf"), higher=True, low=-1.0, high=1.0)]
    tally = {"read": 2, "kept": 1, "dropped": {HOSTILE: 1}, "truncated": {}, "first": {HOSTILE: [0]}}
    audit = {"splits": {HOSTILE: {"examined": 1, "tally": tally, "labels": {"0": HOSTILE}}}}
    stored = {"x": {**evaluation(items, scores), "data": HOSTILE}}
    recipe = RECIPE.replace("source: word", f"source: {json.dumps(HOSTILE)}") + f"notes: {json.dumps(HOSTILE)}\n"
    run = make_run(tmp_path / "run <b>&", recipe=recipe, events=events, evaluations=stored, audit=audit)
    markup = write_report(run).read_text(encoding="utf-8")
    check_safe(Page(markup), markup)
    assert HOSTILE in Page(markup).said


def test_a_page_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"report\.html cannot be written: No space left on device"):
        write_report(run)
    assert sorted(path.name for path in run.iterdir()) == ["metrics.jsonl", "recipe.yaml"]


def test_no_run_and_no_data_are_refused(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        write_report(tmp_path / "gone")
    with pytest.raises(DataError):
        write_report(trained, data=tmp_path / "gone.tsv")


def test_thousands_of_log_lines_make_a_small_page(tmp_path: Path) -> None:
    events = [train_event(step, 5.0 if step != 4321 else 90.0) for step in range(1, 6_000)]
    path = write_report(make_run(tmp_path / "run", events=events))
    assert path.stat().st_size < 1_000_000
    assert "training, step 4,321: 90" in Page(path.read_text(encoding="utf-8")).titles, "a spike is kept"


def test_what_inspecting_measured(tmp_path: Path) -> None:
    cost = {"parameters": {"encoder": 1200}, "total_parameters": 1500, "batches_per_epoch": 7, "seconds_per_epoch": 90.0}
    cost |= {"tokens_per_second": 1000.0, "memory_bytes": 2**30, "device": "cpu"}
    said = page_of(make_run(tmp_path / "run", audit={"audit": {"splits": {}}, "cost": cost})).said
    assert "encoder 1,200 all 1,500" in said
    assert "1 min 30 s, 7 batches" in said
    assert "1.00 GiB" in said


def test_all_items_are_counted(tmp_path: Path) -> None:
    content: Mapping[str, Any] = evaluation()
    assert f"{len(ITEMS)} items of the newest evaluation" in page_of(make_run(tmp_path / "run", evaluations={"test": content})).said
