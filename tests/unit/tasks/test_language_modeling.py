"""Language models through the same core: trained, measured, sampled from with a given opening, and helping another model's search."""

import numpy as np
import pytest

import antiphon
from antiphon.contracts.configuration import validate
from antiphon.errors import ConfigError, DataError
from antiphon.features.text_config import TextConfig
from antiphon.recipe.assembly import read_given
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.language_modeling import LanguageModeling, LanguageModelingConfig

TEXTS = [" ".join(words) for words in np.random.default_rng(3).choice(["ba", "abc", "cab", "c"], (80, 3))]
TRAINING = {"max_steps": 2, "validate_every": 2, "batching": {"target_tokens": 300}}
SMALL = {"name": "decoder_only", "decoder": {"name": "transformer", "dim": 8, "heads": 2, "layers": 1, "feed_forward_dim": 8}}


@pytest.fixture
def task():
    task = LanguageModeling(LanguageModelingConfig(vocabulary=TextConfig(kind="character")))
    task.fit([{"text": text} for text in TEXTS])
    return task


def trained(task, model, folder, records):
    recipe = recipe_from({"task": task, "model": model, "training": TRAINING, "search": {"limits": {"max_length": 8}}})
    return antiphon.train(recipe, folder, data={"train": records[:60], "validation": records[60:]})


def test_a_text_is_a_target_without_source(task):
    example = task.encode({"text": "abc"}, 7)
    assert task.pieces("target", example.target) == ["<s>", "a", "b", "c", "</s>"]
    assert example.source.tolist() == [4]
    assert task.source_spec.says_nothing
    assert not task.target_spec.says_nothing
    assert task.pieces("source", example.source) == ["(nothing)"]
    assert task.encode({"prefix": "a"}).target is None
    many = task.encode_many([(0, {"text": "abc"}), (1, {"text": "c"})])
    assert [one.target.tolist() for one in many] == [task.encode({"text": text}).target.tolist() for text in ("abc", "c")]
    with pytest.raises(DataError, match="`text` must be a text, but is int 3"):
        task.encode({"text": 3})


def test_a_record_may_say_how_its_text_begins(task):
    request = task.request({"prefix": "ab", "banned": "c", "required": ["a"]})
    assert task.pieces("target", np.array(request.prefix)) == ["a", "b"]
    assert task.pieces("target", np.array(request.banned[0])) == ["c"]
    assert len(request.required) == 1
    assert task.request({}).prefix == ()
    assert task.request({"required": None, "banned": ""}).required == ()
    for wrong in (5, {"a": 1}, ["a", 5]):
        with pytest.raises(DataError, match="`required` must be a text or a list of texts"):
            task.request({"required": wrong})
    assert task.source_of({"prefix": "ab"}) == "ab"


def test_settings_without_sense_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="must not be `pretrained`"):
        validate(LanguageModelingConfig, {"vocabulary": {"kind": "pretrained", "model": "x"}})
    recipe = {"task": {"name": "translation", "vocabulary": {"kind": "character"}}, "model": SMALL, "training": TRAINING}
    pairs = [{"source": text, "target": text} for text in TEXTS]
    with pytest.raises(ConfigError, match="must not be `decoder_only` for a task with a source"):
        antiphon.train(recipe_from(recipe), tmp_path / "never", data={"train": pairs, "validation": 4})


def test_a_run_writes_texts_and_helps_another(tmp_path):
    pairs = [{"source": text[::-1], "target": text} for text in TEXTS]
    characters = {"kind": "character"}
    reversing = trained({"name": "translation", "vocabulary": characters}, {"name": "lstm", "dim": 8}, tmp_path / "reversing", pairs)
    texts = [{"text": text} for text in TEXTS]
    language = trained({"name": "language_modeling", "vocabulary": {"run": str(reversing)}}, SMALL, tmp_path / "language", texts)
    writer = antiphon.load(language)
    assert writer.recipe.search.name == "sampling"
    assert writer.predict("ab").text.startswith("ab")
    assert isinstance(writer.predict({"prefix": ""}).text, str)
    (tmp_path / "openings.txt").write_text("ab\n\n", encoding="utf-8")
    lines = read_given(tmp_path / "openings.txt", writer.task, with_targets=False)
    assert list(lines) == [{"prefix": "ab"}, {"prefix": ""}]
    assert antiphon.evaluate(writer, texts[60:70])["perplexity"] > 1

    alone = antiphon.load(reversing).predict("cab")
    helped = antiphon.load(reversing, overrides=[f"search.language_model={{run: {language}, weight: 2.0}}"])
    assert helped.predict("cab").hypothesis.score < alone.hypothesis.score
    both = antiphon.load([reversing, reversing]).with_search({"language_model": {"run": str(language), "weight": 2.0}})
    assert both.predict("cab").hypothesis.score == pytest.approx(helped.predict("cab").hypothesis.score, abs=1e-4)
    with pytest.raises(ConfigError, match="must be a run of `task: language_modeling`"):
        antiphon.load(reversing).with_search({"language_model": {"run": str(reversing)}})
    words = {"name": "language_modeling", "vocabulary": {"kind": "word"}}
    other = trained(words, {"name": "decoder_only", "decoder": {"name": "lstm", "dim": 8}}, tmp_path / "other", texts)
    with pytest.raises(ConfigError, match="must have the vocabulary of the model that it helps"):
        antiphon.load(reversing).with_search({"language_model": {"run": str(other)}})
