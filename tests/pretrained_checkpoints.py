"""Tiny checkpoints in the published format, one for each family of encoder-decoders, all written by transformers itself."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoConfig, AutoModelForSeq2SeqLM

WORDS = ["the", "cat", "sat", "on", "mat", "der", "hund", "lief", "weg", "haus", "baum", "und", "nicht", "schnell", "langsam"]
T5 = {"d_model": 32, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_kv": 16, "d_ff": 48, "decoder_start_token_id": 0}
BART = {
    "d_model": 32,
    **{f"{side}_{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "attention_heads")},
    **{f"{side}_ffn_dim": 48 for side in ("encoder", "decoder")},
    "max_position_embeddings": 128,
}


@dataclass(frozen=True)
class Family:
    """How a family's tiny model and tokenizer are made. `end` and `pad` are the special symbols, `start` where the decoder begins."""

    tokenizer: str
    settings: dict[str, Any] = field(default_factory=dict)
    languages: tuple[str, str] | None = None
    start: int = 2
    end: int = 2
    pad: int = 1


FAMILIES = {
    "t5": Family("t5", T5, start=0, end=1, pad=0),
    "mt5": Family("t5", T5, start=0, end=1, pad=0),
    "umt5": Family("t5", T5, start=0, end=1, pad=0),
    "longt5": Family("t5", {**T5, "local_radius": 7, "encoder_attention_type": "local"}, start=0, end=1, pad=0),
    "bart": Family("bart", BART),
    "led": Family(
        "bart", {**BART, "attention_window": [8, 8], "max_encoder_position_embeddings": 128, "max_decoder_position_embeddings": 128}
    ),
    "blenderbot": Family("blenderbot", BART, start=1, end=2, pad=0),
    "pegasus": Family("pegasus", BART, start=0, end=1, pad=0),
    "marian": Family("marian", BART, end=0),
    "mbart": Family("mbart", BART, ("en_XX", "de_DE")),
    "mbart50": Family("mbart50", BART, ("en_XX", "de_DE")),
    "m2m_100": Family("m2m", BART, ("en", "de")),
    "nllb": Family("nllb", BART, ("eng_Latn", "deu_Latn")),
}
MODEL_TYPES = {"mbart50": "mbart", "nllb": "m2m_100"}


def write_checkpoint(folder: Path, name: str) -> Path:
    """Write the tiny checkpoint of a family, with random weights that end an output now and then."""
    family = FAMILIES[name]
    folder.mkdir(parents=True)
    tokenizer = TOKENIZERS[family.tokenizer](folder / "making")
    tokenizer.save_pretrained(folder)
    size = max(len(tokenizer), *(max(tokenizer(text)["input_ids"]) + 1 for text in WORDS)) + 3  # some embeddings that no piece belongs to
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    if family.tokenizer == "marian":
        special["decoder_start_token_id"] = tokenizer.pad_token_id
    elif "decoder_start_token_id" not in family.settings and name != "mbart":
        special["decoder_start_token_id"] = family.start
    torch.manual_seed(3)
    config = AutoConfig.for_model(MODEL_TYPES.get(name, name), vocab_size=size + 20, **{**special, **family.settings})
    model = AutoModelForSeq2SeqLM.from_config(config)
    _let_it_end(model.eval(), tokenizer)
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def _let_it_end(model: Any, tokenizer: Any) -> None:
    """Turn the end symbol's weights towards the decoder's states until it is said about every third time: random weights never end."""
    batch = tokenizer(_sentences()[:8], padding=True, return_tensors="pt")
    batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
    said = torch.randint(5, len(tokenizer), (8, 6), generator=torch.Generator().manual_seed(1))
    weight, end = model.get_output_embeddings().weight, tokenizer.eos_token_id
    for _ in range(100):
        found = model(**batch, decoder_input_ids=said, output_hidden_states=True)
        if found.logits.softmax(-1)[..., end].mean() > 0.35:
            return
        towards = found.decoder_hidden_states[-1].flatten(0, 1).mean(0)
        weight[end] += 0.3 * weight.norm(dim=1).mean() * towards / towards.norm()
    raise AssertionError("the end symbol stays unlikely")


def _sentences() -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=6)) for _ in range(500)]


def _sentencepiece(folder: Path, **special: int) -> sentencepiece.SentencePieceProcessor:
    folder.mkdir(exist_ok=True)
    path = folder / "pieces"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentences()), model_prefix=str(path), vocab_size=60, hard_vocab_limit=False, minloglevel=2, **special
    )
    return sentencepiece.SentencePieceProcessor(model_file=f"{path}.model")


def _pieces(model: sentencepiece.SentencePieceProcessor, first: int) -> list[tuple[str, float]]:
    return [(model.id_to_piece(i), model.get_score(i)) for i in range(first, model.vocab_size())]


def _special(*names: str) -> list[tuple[str, float]]:
    return [(name, 0.0) for name in names]


def _t5(folder: Path) -> Any:
    model = _sentencepiece(folder, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    return transformers.T5Tokenizer(vocab=_pieces(model, 0), extra_ids=0)


def _fairseq(folder: Path) -> list[tuple[str, float]]:
    return _special("<s>", "<pad>", "</s>", "<unk>") + _pieces(_sentencepiece(folder, unk_id=0, bos_id=1, eos_id=2, pad_id=-1), 3)


def _mbart(folder: Path) -> Any:
    return transformers.MBartTokenizer(vocab=_fairseq(folder), src_lang="en_XX", tgt_lang="de_DE")


def _mbart50(folder: Path) -> Any:
    return transformers.MBart50Tokenizer(vocab=_fairseq(folder), src_lang="en_XX", tgt_lang="de_DE")


def _nllb(folder: Path) -> Any:
    vocabulary = {piece: number for number, (piece, _) in enumerate(_fairseq(folder))}
    return transformers.NllbTokenizer(vocab=vocabulary, merges=[], src_lang="eng_Latn", tgt_lang="deu_Latn")


def _pegasus(folder: Path) -> Any:
    model = _sentencepiece(folder, unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    return transformers.PegasusTokenizer(vocab=_special("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>") + _pieces(model, 3))


def _byte_level(folder: Path) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    folder.mkdir(exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(_sentences(), vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    trained.save_model(str(folder))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    return json.loads((folder / "vocab.json").read_text(encoding="utf-8")), [tuple(line.split()) for line in merges]


def _bart(folder: Path) -> Any:
    vocabulary, merges = _byte_level(folder)
    return transformers.BartTokenizer(vocab=vocabulary, merges=merges)


def _blenderbot(folder: Path) -> Any:
    vocabulary, merges = _byte_level(folder)
    return transformers.BlenderbotTokenizer(vocab=vocabulary, merges=merges)


def _marian(folder: Path) -> Any:
    model = _sentencepiece(folder, unk_id=1, bos_id=-1, eos_id=0, pad_id=-1)
    vocabulary = {model.id_to_piece(i): i for i in range(model.vocab_size())}
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    path = str(folder / "pieces.model")
    return transformers.MarianTokenizer(source_spm=path, target_spm=path, vocab=str(folder / "vocab.json"))


def _m2m(folder: Path) -> Any:
    vocabulary = {piece: number for number, (piece, _) in enumerate(_fairseq(folder))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return transformers.M2M100Tokenizer(
        vocab_file=str(folder / "vocab.json"), spm_file=str(folder / "pieces.model"), src_lang="en", tgt_lang="de"
    )


TOKENIZERS: dict[str, Callable[[Path], Any]] = {
    "t5": _t5,
    "mbart": _mbart,
    "mbart50": _mbart50,
    "nllb": _nllb,
    "pegasus": _pegasus,
    "bart": _bart,
    "blenderbot": _blenderbot,
    "marian": _marian,
    "m2m": _m2m,
}
