"""Tiny checkpoints in the published format, one for each family of encoder-decoders, all written by transformers itself.

`write_whisper` writes a Whisper, which hears two seconds instead of thirty, as OpenAI's are published: of many languages, or of English.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from tokenizers import AddedToken, ByteLevelBPETokenizer
from transformers import AutoConfig, AutoModelForSeq2SeqLM
from transformers.models.whisper.tokenization_whisper import LANGUAGES

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
    "byt5": Family("byt5", T5, start=0, end=1, pad=0),
}
MODEL_TYPES = {"mbart50": "mbart", "nllb": "m2m_100", "byt5": "t5"}


def write_checkpoint(folder: Path, name: str) -> Path:
    """Write the tiny checkpoint of a family, with random weights that end an output now and then."""
    tokenizer, config = _described(folder, name)
    torch.manual_seed(3)
    model = AutoModelForSeq2SeqLM.from_config(config)
    _let_it_end(model.eval(), tokenizer)
    model.save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path, name: str) -> Path:
    """Write the tokenizer of a family and its configuration, without weights."""
    _, config = _described(folder, name)
    config.save_pretrained(folder)
    return folder


def _described(folder: Path, name: str) -> tuple[Any, Any]:
    """A family's tokenizer, which it writes, and its configuration."""
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
    return tokenizer, AutoConfig.for_model(MODEL_TYPES.get(name, name), vocab_size=size + 20, **{**special, **family.settings})


# Families whose folder may hold a sentencepiece model alone: its name, the tokenizer's class, and how the model numbers special symbols.
SENTENCEPIECE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "t5": ("spiece.model", "T5Tokenizer", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "mt5": ("spiece.model", "T5Tokenizer", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "pegasus": ("spiece.model", "PegasusTokenizer", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "mbart": ("sentencepiece.bpe.model", "MBartTokenizer", {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}),
}


def write_sentencepiece(folder: Path, name: str) -> Path:
    """Write a tokenizer as a sentencepiece model with a piece for each byte, as mT5's is published, and its configuration."""
    folder.mkdir(parents=True)
    file, kind, special = SENTENCEPIECE[name]
    model = _sentencepiece(folder / "making", byte_fallback=True, vocab_size=400, **special)
    (folder / file).write_bytes(model.serialized_model_proto())
    settings = {"tokenizer_class": kind, **({"extra_ids": 0} if kind == "T5Tokenizer" else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    AutoConfig.for_model(name, vocab_size=420, **{**FAMILIES[name].settings, "decoder_start_token_id": 0}).save_pretrained(folder)
    return folder


WHISPER_SECONDS = 2


def write_whisper(folder: Path, *, english: bool = False, bins: int = 80) -> Path:
    """Write a tiny Whisper: config, generation config, preprocessor config, tokenizer, weights as safetensors."""
    folder.mkdir(parents=True)
    tokenizer = _whisper(folder / "making")
    tokenizer.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=bins, chunk_length=WHISPER_SECONDS).save_pretrained(folder)
    number = tokenizer.convert_tokens_to_ids
    start, end = number("<|startoftranscript|>"), tokenizer.eos_token_id
    special = {"decoder_start_token_id": start, "eos_token_id": end, "pad_token_id": end, "bos_token_id": end}
    rules = {
        "suppress_tokens": sorted([number("e"), number("\u0120der"), number("<|transcribe|>"), number("<|translate|>"), start]),
        "begin_suppress_tokens": [number("\u0120"), end],
    }
    sizes = {key: value for key, value in BART.items() if "position" not in key}
    config = AutoConfig.for_model(
        "whisper",
        vocab_size=len(tokenizer),
        num_mel_bins=bins,
        max_source_positions=50 * WHISPER_SECONDS,
        max_target_positions=48,
        begin_suppress_tokens=rules["begin_suppress_tokens"],
        **special,
        **sizes,
        init_std=0.3,  # or recordings would hardly make a difference
    )
    torch.manual_seed(3)
    model = transformers.AutoModelForSpeechSeq2Seq.from_config(config)
    heard = {"input_features": torch.randn(8, bins, 100 * WHISPER_SECONDS, generator=torch.Generator().manual_seed(1))}
    _let_it_end(model.eval(), tokenizer, heard)
    several = {
        "is_multilingual": True,
        "lang_to_id": {f"<|{code}|>": number(f"<|{code}|>") for code in LANGUAGES},
        "task_to_id": {task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
    }
    model.generation_config = transformers.GenerationConfig(
        **special,
        **rules,
        **({"is_multilingual": False} if english else several),
        no_timestamps_token_id=number("<|notimestamps|>"),
        alignment_heads=[[1, 0]],
        max_initial_timestamp_index=50,
        max_length=48,
        return_timestamps=False,
    )
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def _let_it_end(model: Any, tokenizer: Any, batch: dict[str, Any] | None = None) -> None:
    """Turn the end symbol's weights towards the decoder's states until it is said about every third time: random weights never end."""
    if batch is None:
        texts = tokenizer(_sentences()[:8], padding=True, return_tensors="pt")
        batch = {key: texts[key] for key in ("input_ids", "attention_mask")}
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


def _sentencepiece(folder: Path, **settings: Any) -> sentencepiece.SentencePieceProcessor:
    folder.mkdir(exist_ok=True)
    path = folder / "pieces"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentences()),
        model_prefix=str(path),
        hard_vocab_limit=False,
        minloglevel=2,
        **{"vocab_size": 60, **settings},
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


def _whisper(folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator((f" {sentence}" for sentence in _sentences()), vocab_size=320)
    trained.save_model(str(folder))
    merges = [tuple(line.split()) for line in (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]]
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    end = "<|endoftext|>"
    vocabulary[end] = len(vocabulary)
    tokenizer = transformers.WhisperTokenizer(vocab=vocabulary, merges=merges, pad_token=end)
    languages = [f"<|{code}|>" for code in LANGUAGES]
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|startoftranscript|>", *languages, *tasks]})
    times = [f"<|{0.02 * step:.2f}|>" for step in range(50 * WHISPER_SECONDS + 1)]
    tokenizer.add_tokens([AddedToken(time, normalized=False) for time in times])
    tokenizer.set_prefix_tokens()
    return tokenizer


def _byt5(folder: Path) -> Any:
    return transformers.ByT5Tokenizer()


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
    "byt5": _byt5,
}
