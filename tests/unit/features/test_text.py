"""The text feature: settings, preparation, saving."""

import io
import json
import pickle
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from antiphon.contracts.configuration import validate
from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig

_GENERATOR = random.Random(2)
LINES = [" ".join(_GENERATOR.choices(["the", "cat", "sat", "on", "a", "mat", "Straße", "ﬁne"], k=6)) for _ in range(200)]
KINDS = ["unigram", "bpe", "word", "character", "byte"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def fitted(**settings: Any) -> TextFeature:  # tests may: these are the settings of a recipe
    feature = TextFeature(validate(TextConfig, settings))
    feature.fit(iter(LINES))
    return feature


@pytest.fixture(scope="module", params=["unigram", "bpe", "character", "byte"])
def lossless(request: pytest.FixtureRequest) -> TextFeature:
    return fitted(kind=request.param, lossless=True)


@given(text=TEXTS)
def test_lossless_restores_every_text(lossless: TextFeature, text: str) -> None:
    assert lossless.decode(lossless.encode(text)) == text
    assert np.array_equal(lossless.encode_many([text])[0], lossless.encode(text))


@given(text=TEXTS)
def test_characters_and_words_compose_accents_and_no_more(text: str) -> None:
    feature = TextFeature(TextConfig(kind="character"))
    feature.fit([text + "x"])
    assert feature.decode(feature.encode(text)) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_restores_ordinary_text(kind: str, tmp_path: Path) -> None:
    feature = fitted(kind=kind)
    spec = feature.spec
    assert (spec.pad, spec.unknown, spec.start, spec.end) == (0, 1, 2, 3)
    many = feature.encode_many(LINES[:20])
    for line, symbols in zip(LINES, many, strict=False):
        assert symbols.dtype == np.int64
        assert np.array_equal(symbols, feature.encode(line))
        assert symbols.max() < spec.size
        assert symbols.min() > 3
        assert feature.decode(symbols) == line
        assert len(feature.pieces(symbols)) == len(symbols)
    assert feature.encode("").shape == (0,)

    feature.save(tmp_path)
    loaded = TextFeature(feature.config)
    loaded.load(tmp_path)
    assert loaded.spec == spec
    assert loaded.notes == feature.notes
    assert all(np.array_equal(loaded.encode(line), symbols) for line, symbols in zip(LINES, many, strict=False))


def test_fitting_twice_gives_the_same() -> None:
    for kind in KINDS:
        assert fitted(kind=kind).spec == fitted(kind=kind).spec


def test_case_and_normalization() -> None:
    feature = fitted(kind="character", lowercase=True, normalization="nfkc", tags=["<2DE>"])
    assert feature.decode(feature.encode("The ﬁne <2DE> cat")) == "the fine <2DE> cat"
    assert fitted(kind="word").decode(fitted(kind="word").encode("ﬁne the")) == "ﬁne the"
    subwords = fitted(kind="unigram", lowercase=True)
    assert subwords.decode(subwords.encode("THE ™")) == "the ™"
    both = fitted(kind="unigram", lowercase=True, normalization="nfkc")
    assert both.decode(both.encode("THE ™")) == "the tm"


ODD = "ﬁne x² １０％ 你好，世界！ a\u00a0b tab\tbed z\u200bw"


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_targets_are_composed_and_no_more_while_sources_are_unified(kind: str, tmp_path: Path) -> None:
    source = TextFeature(validate(TextConfig, {"kind": kind, "tags": ["<ﬁ>"]}), "source")
    source.fit_pairs((line, line) for line in LINES)
    target = source.on("target")
    assert target.decode(target.encode(ODD + " e\u0301")) == ODD + " é"
    assert source.decode(source.encode(ODD + " e\u0301")) == "fine x2 10% 你好,世界! a b tab bed z w é"
    assert "<ﬁ>" in source.pieces(source.encode("<ﬁ>ﬁ"))
    assert source.spec == target.spec
    assert any("ﬁ" in piece for piece in source.vocabulary.pieces[5:]), "targets were learned from as they are"
    source.save(tmp_path)
    loaded = TextFeature(source.config, "source")
    loaded.load(tmp_path)
    for one, other in ((loaded, source), (loaded.on("target"), target)):
        assert np.array_equal(one.encode(ODD), other.encode(ODD))
    reused = TextFeature(validate(TextConfig, {"run": str(tmp_path)}), "source")
    reused.fit(())
    assert (reused.normalization, reused.on("target").normalization) == ("nfkc", "nfc")
    assert TextFeature(TextConfig(normalization="nfkc")).normalization == "nfkc"
    with pytest.raises(CheckpointError, match="`normalization` must be 'nfc', as when"):
        TextFeature(TextConfig(kind=kind, tags=("<ﬁ>",), normalization="nfkc")).load(tmp_path)  # type: ignore[arg-type]


def test_pairs_that_are_no_texts_are_refused_by_their_number() -> None:
    with pytest.raises(DataError, match="Training pair 2: A text must be a string, but is None"):
        TextFeature(TextConfig()).fit_pairs([("a", "b"), ("a", None)])


def earlier_vocabulary(folder: Path) -> sentencepiece.SentencePieceProcessor:
    """What earlier versions wrote: the model normalizes by itself, on both sides."""
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*LINES, ODD]), model_writer=stream, vocab_size=400, hard_vocab_limit=False, byte_fallback=True,
        normalization_rule_name="nmt_nfkc", pad_id=0, unk_id=1, bos_id=2, eos_id=3, pad_piece="<pad>", unk_piece="<unk>", bos_piece="<s>",
        eos_piece="</s>", minloglevel=2,
    )  # fmt: skip
    (folder / "vocabulary.model").write_bytes(stream.getvalue())
    settings = {"kind": "unigram", "lossless": False, "byte_fallback": True, "normalization": "nfkc", "lowercase": False}
    settings |= {"separator": None, "punctuation": "attached", "tags": []}
    fingerprint = SubwordVocabulary(stream.getvalue()).fingerprint
    content = {"format": 1, "settings": settings, "exact": False, "existing": False, "opening": None, "size": 0, "notes": []}
    (folder / "text.json").write_text(json.dumps({**content, "fingerprint": fingerprint}))
    return sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())


@pytest.mark.parametrize("side", ["source", "target"])
def test_vocabularies_of_earlier_versions_normalize_as_they_did(side: Any, tmp_path: Path) -> None:
    """Also where a new run takes one over, and is loaded again."""
    processor = earlier_vocabulary(tmp_path)
    loaded = TextFeature(TextConfig(), side)
    loaded.load(tmp_path)
    reused = TextFeature(validate(TextConfig, {"run": str(tmp_path)}), side)
    reused.fit(())
    reused.save(tmp_path / "again")
    again = TextFeature(validate(TextConfig, {"run": str(tmp_path / "gone")}), side)
    again.load(tmp_path / "again")
    for text in (ODD, "e\u200e\u0301", LINES[0]):  # of the second, normalizing twice would make another text
        for feature in (loaded, reused, again):
            assert feature.encode(text).tolist() == processor.encode(text)


def test_byte_fallback_decides_what_is_unknown() -> None:
    assert 1 not in fitted(kind="unigram").encode("日本")
    assert 1 in fitted(kind="unigram", byte_fallback=False).encode("日本")
    assert 1 in fitted(kind="character").encode("日本")
    assert 1 not in fitted(kind="character", byte_fallback=True).encode("日本")
    assert fitted(kind="word").decode(fitted(kind="word").encode("the dog sat")) == "the ⁇ sat"


def test_prefix_and_tags() -> None:
    feature = fitted(kind="unigram", prefix="translate: ", tags=["<2de>"])
    assert feature.decode(feature.encode("the cat")) == "translate: the cat"
    assert feature.pieces(feature.encode("<2de>the cat")).count("<2de>") == 1


def test_sampling_needs_a_seed() -> None:
    feature = fitted(kind="bpe", sampling=0.5)
    drawn = {tuple(feature.encode(LINES[0], seed=seed)) for seed in range(10)}
    assert len(drawn) > 3
    assert np.array_equal(feature.encode(LINES[0], seed=3), feature.encode(LINES[0], seed=3))
    assert len({tuple(feature.encode(LINES[0])) for _ in range(5)}) == 1
    best = fitted(kind="bpe")
    assert np.array_equal(best.encode(LINES[0], seed=3), best.encode(LINES[0]))


def test_training_lines_are_bounded_and_counted() -> None:
    feature = fitted(kind="bpe", training_lines=50)
    assert any("50 of 200 training texts" in note for note in feature.notes)
    assert not any("training texts, drawn" in note for note in fitted(kind="bpe").notes)


def test_a_feature_travels_to_another_process() -> None:
    """Data-loading workers are started with a copy."""
    for kind in KINDS:
        feature = fitted(kind=kind)
        copied = pickle.loads(pickle.dumps(feature))  # noqa: S301  # our own bytes
        assert np.array_equal(copied.encode(LINES[0]), feature.encode(LINES[0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "byte", "size": 300}, "`size` needs `kind`"),
        ({"kind": "word", "lossless": True}, "`lossless` needs `kind`"),
        ({"kind": "word", "sampling": 0.1}, "`sampling` needs `kind`"),
        ({"kind": "bpe", "separator": "|"}, "`separator` needs `kind`"),
        ({"kind": "bpe", "min_frequency": 2}, "`min_frequency` needs `kind`"),
        ({"kind": "word", "byte_fallback": True}, "`byte_fallback` needs `kind`"),
        ({"kind": "character", "model": "x.model"}, "`model` needs `kind`"),
        ({"lossless": True, "lowercase": True}, "`lowercase` must be left out"),
        ({"lossless": True, "normalization": "nfc"}, "`normalization` must be left out"),
        ({"lossless": True, "byte_fallback": False}, "`byte_fallback` must be left out"),
        ({"model": "x.model", "size": 100}, "`size` must be left out"),
        ({"tags": ["a b"]}, "`tags` must be symbols without spaces"),
        ({"tags": ["<s>"]}, "`tags` must be symbols"),
        ({"tags": ["<t>", "<t>"]}, "`tags` must differ"),
        ({"sampling": 2}, "sampling"),
        ({"kind": "wordpiece"}, "kind"),
        ({"sice": 100}, "Did you mean `size`"),
    ],
)
def test_settings_that_clash_or_do_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(TextConfig, settings)


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "must be a string, but is None"), (3, "but is 3"), (b"x", "but is b'x'"), ("ab\ud800", r"U\+D800\) at character 3")],
)
def test_what_is_no_text_is_refused(value: Any, message: str) -> None:
    for kind in ("unigram", "byte"):
        feature = fitted(kind=kind)
        with pytest.raises(DataError, match=message):
            feature.encode(value)
        with pytest.raises(DataError, match="Text 2: .*" + message):
            feature.encode_many(["a", value])
    with pytest.raises(DataError, match="Training text 2: .*" + message):
        TextFeature(TextConfig()).fit(["a", value])


@pytest.mark.parametrize("kind", ["unigram", "bpe", "word", "character"])
def test_nothing_to_fit_is_refused(kind: Any) -> None:
    for values in ([], ["", ""]):
        with pytest.raises(DataError, match="there are none"):
            TextFeature(TextConfig(kind=kind)).fit(values)


def test_an_existing_model(tmp_path: Path) -> None:
    trained = fitted(kind="bpe", size=400, tags=["<2de>"])
    trained.save(tmp_path / "a")
    model = str(tmp_path / "a" / "vocabulary.model")
    feature = fitted(kind="bpe", model=model, tags=["<2de>"])
    assert feature.spec == trained.spec
    assert np.array_equal(feature.encode(LINES[0]), trained.encode(LINES[0]))
    feature.save(tmp_path / "b")
    loaded = TextFeature(feature.config)
    loaded.load(tmp_path / "b")
    assert loaded.spec == trained.spec
    exact = fitted(kind="bpe", lossless=True)
    exact.save(tmp_path / "c")
    normalized = fitted(kind="bpe", model=str(tmp_path / "c" / "vocabulary.model"), normalization="nfkc")
    assert normalized.decode(normalized.encode("ﬁne")) == "fine"
    with pytest.raises(ConfigError, match="`tags` must be pieces of"):
        fitted(kind="bpe", model=model, tags=["<2fr>"])
    with pytest.raises(ConfigError, match="`kind` must be bpe, as"):
        fitted(model=model)
    with pytest.raises(ConfigError, match="`lossless` must be false"):
        fitted(kind="bpe", model=model, lossless=True)
    with pytest.raises(ConfigError, match="`model` must be a sentencepiece model"):
        fitted(model=str(tmp_path / "missing"))


def test_loading_refuses_what_does_not_fit(tmp_path: Path) -> None:
    fitted(kind="word", prefix="a", min_frequency=2).save(tmp_path)
    other = TextFeature(TextConfig(kind="word", prefix="b"))
    other.load(tmp_path)  # the prefix and the settings of fitting may change
    with pytest.raises(CheckpointError, match="`lowercase` must be False, as when the vocabulary"):
        TextFeature(TextConfig(kind="word", lowercase=True)).load(tmp_path)
    with pytest.raises(CheckpointError, match="`kind` must be 'word'"):
        TextFeature(TextConfig(kind="character")).load(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        TextFeature(TextConfig()).load(tmp_path / "missing")

    vocabulary = tmp_path / "vocabulary.json"
    vocabulary.write_text(vocabulary.read_text().replace("cat", "dog"))
    with pytest.raises(CheckpointError, match="fingerprint"):
        other.load(tmp_path)
    settings = json.loads((tmp_path / "text.json").read_text())
    (tmp_path / "text.json").write_text(json.dumps(settings | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 1, but has 99"):
        other.load(tmp_path)
    (tmp_path / "text.json").write_text("[]")
    with pytest.raises(CheckpointError, match="must hold the settings"):
        other.load(tmp_path)
