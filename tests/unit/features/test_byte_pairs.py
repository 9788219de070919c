"""Byte-level BPE: the same pieces as the package tokenizers, every text back as it was, and special pieces that no text can say."""

import json
from pathlib import Path

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.errors import CheckpointError, ConfigError
from antiphon.features.byte_pairs import BytePairVocabulary
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import END, START
from tests.unit.importers.foreign_models import whisper_tokenizer

MERGES = ["t h", "th e", "\u0120 the", "\u0120 a", "a b", "\u0120a b", "' t", "n ' t", "1 2", "\u0120 12", "\u00c3 \u00a9"]
TEXTS = [
    "the abba  the\n\n ab",
    "isn't, WE'LL 'tis 's't",
    "naïve café 12 1/2 ½ ⅷ 3,012",
    "\t \x1c\u00a0\u3000x ",
    "日本語 😀👩‍👩 ",
    " ",
    "a",
    "<unk> the <pad>",
]


def test_as_tokenizers_does() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    content = whisper_tokenizer([merge for merge in MERGES if merge != "n ' t"])
    reference = tokenizers.Tokenizer.from_str(json.dumps(content))
    vocabulary = BytePairVocabulary(content)
    seed = 11
    draw = np.random.default_rng(seed)
    random = ["".join(map(chr, draw.choice([*range(32, 0x250), *range(0x2000, 0x3100)], 30))) for _ in range(200)]
    for text in [*TEXTS, *random]:
        found = vocabulary.numbers[vocabulary.encode(text)].tolist()
        assert found == reference.encode(text, add_special_tokens=False).ids, (seed, text)
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_special_pieces(tmp_path: Path) -> None:
    vocabulary = BytePairVocabulary(whisper_tokenizer())
    assert vocabulary.pieces[:4] == ("<pad>", "<unk>", "<s>", "</s>")
    assert vocabulary.numbers[:4].tolist() == [-1, -1, 262, 261], "neither padding nor unknown; start and end are Whisper's"
    assert sorted(vocabulary.numbers[vocabulary.numbers >= 0].tolist()) == list(range(266))
    said = vocabulary.encode("<|endoftext|>")
    assert END not in said
    assert vocabulary.decode(said) == "<|endoftext|>"
    assert vocabulary.decode(np.array([START, vocabulary.special("<|en|>"), *said, END])) == "<|endoftext|>"
    vocabulary.save(tmp_path)
    again = BytePairVocabulary.open(tmp_path / "tokenizer.json")
    assert (again.pieces, again.fingerprint) == (vocabulary.pieces, vocabulary.fingerprint)


def test_feature_with_an_opening(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(whisper_tokenizer()), encoding="utf-8")
    feature = TextFeature(TextConfig(kind="byte_bpe", model=path, opening=("<|en|>", "<|notimestamps|>")))
    feature.fit(())
    opening = feature.opening
    assert feature.encode("the").tolist()[:2] == list(opening)
    assert feature.encode_many(["the"])[0].tolist() == feature.encode("the").tolist() == [*opening, *feature.phrase("the")]
    assert feature.decode(feature.encode("the")) == "the"
    feature.save(tmp_path / "saved")
    path.unlink()
    kept = TextFeature(validate(TextConfig, {"run": str(tmp_path / "saved")}))
    kept.fit(())
    assert (kept.opening, kept.spec) == (opening, feature.spec)
    other = TextFeature(validate(TextConfig, {"run": str(tmp_path / "saved"), "opening": ["<|transcribe|>"]}))
    other.load(tmp_path / "saved")
    assert other.pieces(np.array(other.opening)) == ["<|transcribe|>"]
    wrong = TextFeature(validate(TextConfig, {"run": str(tmp_path / "saved"), "opening": ["<|xx|>"]}))
    wrong.load(tmp_path / "saved")
    with pytest.raises(ConfigError, match=r"`opening` must be special pieces of the vocabulary, but '<\|xx\|>' is none."):
        wrong.encode("the")


def test_settings() -> None:
    with pytest.raises(ConfigError, match=r"`model` is missing: give the `tokenizer\.json`"):
        validate(TextConfig, {"kind": "byte_bpe"})
    with pytest.raises(ConfigError, match="`opening` needs `kind` to be one of byte_bpe, but it is word"):
        validate(TextConfig, {"kind": "word", "opening": ["<|en|>"]})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": {"type": "Unigram"}}, "must be a byte-level BPE"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "must be a byte-level BPE"),
        ({"normalizer": {"type": "NFC"}}, "without a normalizer"),
        ({"added_tokens": [{"id": 300, "content": "<|far|>"}]}, "must number its 262 pieces from 0 on"),
        ({"added_tokens": [{"content": "<|far|>"}]}, "must have `vocab`, `merges` and `added_tokens`"),
    ],
)
def test_other_tokenizers(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        BytePairVocabulary({**whisper_tokenizer(), **change})


def test_damaged_pieces(tmp_path: Path) -> None:
    content = whisper_tokenizer()
    with pytest.raises(CheckpointError, match="must merge two pieces into one of its vocabulary, but merges 'q z'"):
        BytePairVocabulary({**content, "model": {**content["model"], "merges": ["q z"]}})
    fewer = {piece: number for piece, number in content["model"]["vocab"].items() if piece != "q"}
    with pytest.raises(CheckpointError, match="must have a piece for every byte, but lacks 1"):
        BytePairVocabulary({**content, "model": {**content["model"], "vocab": fewer}})
    (tmp_path / "tokenizer.json").write_text("[1", encoding="utf-8")
    with pytest.raises(CheckpointError, match="must be JSON, but is not"):
        BytePairVocabulary.open(tmp_path / "tokenizer.json")
