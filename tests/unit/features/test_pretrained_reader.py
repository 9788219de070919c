"""Published tokenizers read what stands in a text: no special symbols, but every character that their pieces can write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import transformers
from tokenizers import AddedToken

from antiphon.errors import CheckpointError
from antiphon.features.pretrained_reader import special_symbols
from antiphon.features.pretrained_text import PretrainedText
from tests.pretrained_checkpoints import FAMILIES, SENTENCEPIECE, write_sentencepiece, write_tokenizer, write_whisper

EVERYTHING = "the cat {sat} 50% </s> <s>der</s> hund \u00e9 \u732b <0x41> <unk>"
every_model = pytest.mark.parametrize("name", SENTENCEPIECE)


def opened(folder: Path, name: str, side: Any = "target") -> PretrainedText:
    languages = ("de", "de") if name == "whisper" else FAMILIES[name].languages
    text = PretrainedText(str(folder), side, languages)
    text.fit(())
    return text


def tokenizer_of(folder: Path, name: str) -> Any:
    languages = FAMILIES[name].languages
    codes = {"src_lang": languages[0], "tgt_lang": languages[1]} if languages else {}
    return transformers.AutoTokenizer.from_pretrained(folder, **codes)


@pytest.mark.parametrize("name", [*FAMILIES, "whisper"])
def test_special_symbols_within_a_text_are_text(name: str, tmp_path: Path) -> None:
    folder = write_whisper(tmp_path / "made") if name == "whisper" else write_tokenizer(tmp_path / "made", name)
    for side in ("target",) if name == "whisper" else ("source", "target"):
        text = opened(folder, name, side)
        special = special_symbols(text._tokenizer)
        known = {*special.values(), *getattr(text._tokenizer, "lang_code_to_id", {}).values()} - {text.spec.unknown}
        around = text.encode("cat")[~np.isin(text.encode("cat"), text.phrase("cat"))]
        assert {"</s>", "<s>"} & set(special) or "<|endoftext|>" in special or name == "marian"
        for piece in [*special, "</s>", "<s>", "__de__", "deu_Latn"]:
            for said in (f"der {piece} hund", f"<b>{piece}weg{piece}", piece):
                found = text.encode(said).tolist()
                inside = [symbol for symbol in found if symbol in known]
                assert inside == around.tolist(), f"{said!r} became {text.pieces(np.array(found))}"
                assert not known & set(text.phrase(said))
    if name in ("bart", "led", "blenderbot", "whisper", "byt5"):  # these write every character
        assert text.decode(text.encode(EVERYTHING)).strip() == EVERYTHING


@every_model
def test_bytes_write_what_has_no_piece(name: str, tmp_path: Path) -> None:
    folder = write_sentencepiece(tmp_path / "made", name)
    theirs, truth = tokenizer_of(folder, name), sentencepiece.SentencePieceProcessor(model_file=str(folder / SENTENCEPIECE[name][0]))
    assert theirs.unk_token_id in theirs("50%")["input_ids"], "transformers reads bytes now: compare anew"
    source, target = opened(folder, name, "source"), opened(folder, name)
    for text in (EVERYTHING, "the cat", "", "  two  spaces "):
        expected = theirs.convert_tokens_to_ids(truth.encode(text, out_type=str))
        assert target.phrase(text) == tuple(expected)
        assert target.encode(text).tolist() == expected
        suffix = [theirs.eos_token_id, *([theirs.convert_tokens_to_ids("en_XX")] if name == "mbart" else [])]
        assert source.encode(text).tolist() == [*expected, *suffix]
        assert target.decode(target.encode(text)) == " ".join(text.split())
    assert f"{SENTENCEPIECE[name][0]} reads its texts: the tokenizer of transformers reads some otherwise, such as `~`" in source.notes[1]
    assert target.notes == ()


@every_model
def test_it_is_saved_with_its_model(name: str, tmp_path: Path) -> None:
    text = opened(write_sentencepiece(tmp_path / "made", name), name)
    text.save(tmp_path / "saved")
    again = PretrainedText("elsewhere", "target", FAMILIES[name].languages)
    again.load(tmp_path / "saved")
    assert np.array_equal(again.encode(EVERYTHING), text.encode(EVERYTHING))
    assert again.spec == text.spec
    assert again.decode(again.encode(EVERYTHING)) == EVERYTHING
    (tmp_path / "saved" / SENTENCEPIECE[name][0]).unlink()
    with pytest.raises(CheckpointError, match="its sentencepiece model is missing"):
        PretrainedText("elsewhere", "target", FAMILIES[name].languages).load(tmp_path / "saved")


def test_a_vocabulary_of_an_earlier_version_reads_as_then(tmp_path: Path) -> None:
    folder = write_sentencepiece(tmp_path / "made", "mt5")
    text, theirs = opened(folder, "mt5"), tokenizer_of(folder, "mt5")
    text.save(tmp_path / "saved")
    facts = json.loads((tmp_path / "saved/pretrained.json").read_text())
    assert facts.pop("reader") == "sentencepiece"
    (tmp_path / "saved/pretrained.json").write_text(json.dumps(facts))
    earlier = PretrainedText(str(folder), "target")
    earlier.load(tmp_path / "saved")
    assert earlier.encode("the cat {sat} 50%").tolist() == theirs("the cat {sat} 50%")["input_ids"][:-1]
    assert earlier.spec.fingerprint != text.spec.fingerprint, "what is read otherwise must not be mixed up"


@pytest.mark.parametrize("name", ["t5", "mbart", "pegasus"])
def test_a_unigram_without_its_model_segments_as_before(name: str, tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path / "made", name)
    text, theirs = opened(folder, name), tokenizer_of(folder, name)
    for said in ("the cat sat", "der hund lief langsam {und} weg", "  two  spaces ", ""):
        assert list(text.phrase(said)) == theirs(said, add_special_tokens=False)["input_ids"]
    assert list(text.phrase("weg </s> und"))[-1] == list(text.phrase("und"))[-1]


def test_a_tokenizer_that_cannot_write_its_bytes_is_named(tmp_path: Path) -> None:
    folder = write_sentencepiece(tmp_path / "made", "mt5")
    tokenizer_of(folder, "mt5").save_pretrained(folder)
    (folder / "spiece.model").unlink()
    [_, note] = opened(folder, "mt5", "source").notes
    assert "Its tokenizer reads `~`, `}`, `|` as unknown, though the vocabulary can write everything as bytes." in note
    assert "Put the sentencepiece model that it was made of (spiece.model) into its folder." in note


def test_words_that_somebody_added_stay_whole(tmp_path: Path) -> None:
    folder = write_sentencepiece(tmp_path / "made", "mt5")
    theirs = tokenizer_of(folder, "mt5")
    theirs.add_tokens([AddedToken("\n", normalized=False)])
    theirs.save_pretrained(folder)
    text = opened(folder, "mt5", "source")
    assert theirs.convert_tokens_to_ids("\n") in text.encode("the\ncat")
    assert "as unknown" in text.notes[1]
    assert "spiece.model" not in text.notes[1]
