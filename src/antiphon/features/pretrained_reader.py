"""Encodes a text with a published tokenizer, and back; text is never taken for a special symbol (extra `hf`).

    TokenizerReader       the tokenizer of transformers
    SentencepieceReader   the sentencepiece model that it was made of, where the two read texts differently

Unusual here: the tokenizers of transformers find special symbols within a text, so HTML's `</s>` would end a label. Asking them to split
these is not enough: one made of a unigram model has its special symbols among the pieces, with the best score of all. So their pieces get
names that no text can have, in a copy that only reads. T5-type tokenizers also read unknown symbols where the model has bytes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.errors import CheckpointError
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.vocabulary import BYTE_PIECES, SPECIAL_PIECES

_MODELS = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model")  # as published folders name their sentencepiece models
# What tokenizers are known to read differently: printable characters of ASCII, others, forms that NFKC unifies, spaces, names of bytes.
_PROBES = (*map(chr, range(0x7E, 0x20, -1)), "\u00e9\u00df", "\u732b", "\U0001f98a", "\ufb01 \uff21", " a  b ", "<0x41>")


@final
class TokenizerReader:
    """The tokenizer of transformers. `target` is whether it encodes targets, which have a vocabulary of their own in some families."""

    def __init__(self, tokenizer: Any, *, target: bool):
        self._tokenizer, self._argument = tokenizer, "text_target" if target else "text"
        special = special_symbols(tokenizer)
        self._special = np.zeros(1 + max([len(tokenizer), *special.values()]), dtype=bool)
        self._special[[number for number in special.values() if number != tokenizer.unk_token_id]] = True
        self._unknown = tokenizer.pad_token_id if tokenizer.unk_token_id is None else tokenizer.unk_token_id
        self._reading = _without_names(tokenizer, set(special))
        self._splits = tokenizer.is_fast or not _added_words(tokenizer)  # Python's tokenizers split all that was added, or nothing

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The symbols of each text, (T,) int64."""
        if self._reading is not None:
            found = [encoding.ids for encoding in self._reading.encode_batch(list(texts), add_special_tokens=False)]
        else:
            found = self._tokenizer(
                **{self._argument: list(texts)},
                add_special_tokens=False,
                split_special_tokens=self._splits,
                truncation=False,
                verbose=False,
            )["input_ids"]
        return [self._spoken(np.array(symbols, dtype=np.int64)) for symbols in found]

    def decode(self, symbols: Sequence[int]) -> str:
        """The text, without special symbols."""
        return str(self._tokenizer.decode(list(symbols), skip_special_tokens=True))

    def _spoken(self, symbols: np.ndarray) -> np.ndarray:
        """Symbols in which remaining special symbols become the unknown one: in some families, characters without a piece are looked up as
        special ones."""
        symbols[self._special[symbols]] = self._unknown
        return symbols


@final
class SentencepieceReader:
    """A sentencepiece model with the numbers of the tokenizer's pieces."""

    def __init__(self, vocabulary: SubwordVocabulary, name: str, tokenizer: Any):
        self._vocabulary, self.name = vocabulary, name
        pieces, numbers = vocabulary.pieces[len(SPECIAL_PIECES) :], tokenizer.get_vocab()
        unknown = tokenizer.unk_token_id
        # Our numbers for pieces begin with four special symbols, of which only the unknown one is ever read.
        self._numbers = np.array([unknown] * len(SPECIAL_PIECES) + [numbers.get(piece, unknown) for piece in pieces], dtype=np.int64)
        self._symbols = {int(self._numbers[symbol]): symbol for symbol in range(len(SPECIAL_PIECES), len(self._numbers))}
        for number in special_symbols(tokenizer).values():
            self._symbols.pop(number, None)

    @staticmethod
    def of(folder: Path, tokenizer: Any) -> "SentencepieceReader | None":
        """The model in a folder, if there is one with the tokenizer's pieces, and the tokenizer has no additional words."""
        name = model_in(folder)
        if name is None or _added_words(tokenizer) or not tokenizer.is_fast or tokenizer.unk_token_id is None:
            return None
        try:
            vocabulary = SubwordVocabulary.open(folder / name)
        except CheckpointError:
            return None  # the file is of another kind
        known = tokenizer.get_vocab()
        has_all = all(piece in known for piece in vocabulary.pieces[len(SPECIAL_PIECES) :])
        return SentencepieceReader(vocabulary, name, tokenizer) if has_all else None

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The symbols of each text, (T,) int64."""
        return [self._numbers[symbols] for symbols in self._vocabulary.encode_many(texts)]

    def decode(self, symbols: Sequence[int]) -> str:
        """The text, without special symbols."""
        known = [self._symbols[number] for number in symbols if number in self._symbols]
        return self._vocabulary.decode(np.array(known, dtype=np.int64))

    def publish(self, folder: Path) -> None:
        """Write the model under its published name."""
        (folder / self.name).write_bytes(self._vocabulary.model_proto)


Reader = TokenizerReader | SentencepieceReader


def model_in(folder: Path) -> str | None:
    """The file name of the sentencepiece model in a published folder."""
    return next((name for name in _MODELS if (folder / name).is_file()), None)


def differing(one: Reader, other: Reader, special: Sequence[str]) -> list[str]:
    """Texts that the two encode differently, or that come back differently."""
    texts = [*_PROBES, *special]
    found = []
    for text, ours, theirs in zip(texts, one.encode_many(texts), other.encode_many(texts), strict=True):
        if not np.array_equal(ours, theirs) or one.decode(ours.tolist()) != other.decode(theirs.tolist()):
            found.append(text)
    return found


def lost_to_bytes(reader: Reader, tokenizer: Any) -> list[str]:
    """Texts that a tokenizer encodes with unknown symbols although it has pieces for all bytes."""
    known = tokenizer.get_vocab()
    if any(piece not in known for piece in BYTE_PIECES):
        return []
    return [text for text, symbols in zip(_PROBES, reader.encode_many(_PROBES), strict=True) if tokenizer.unk_token_id in symbols]


def special_symbols(tokenizer: Any) -> dict[str, int]:
    """The symbols that never come from a text, by name."""
    added = {symbol.content: number for number, symbol in tokenizer.added_tokens_decoder.items() if symbol.special}
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {name: int(number) for name, number in (added | named).items()}


def _added_words(tokenizer: Any) -> bool:
    """Whether words were added to the vocabulary that must not be split."""
    special = special_symbols(tokenizer)
    return any(symbol.content not in special for symbol in tokenizer.added_tokens_decoder.values())


def _without_names(tokenizer: Any, special: set[str]) -> Any:
    """A copy of a tokenizer's unigram model that finds no special symbols in a text; None if splitting them is enough."""
    if not tokenizer.is_fast:
        return None
    backend = tokenizer.backend_tokenizer
    if type(backend.model).__name__ != "Unigram":
        return None
    state = json.loads(backend.to_str())

    def hidden(piece: str) -> str:
        return f" {piece}" if piece in special else piece  # the model is asked for words, none of which has a space

    state["model"]["vocab"] = [[hidden(piece), score] for piece, score in state["model"]["vocab"]]
    state["added_tokens"] = [
        {**added, "content": hidden(added["content"]), "special": added["content"] in special} for added in state["added_tokens"]
    ]
    state |= {"post_processor": None, "truncation": None, "padding": None}
    reading = type(backend).from_str(json.dumps(state, allow_nan=False))
    reading.encode_special_tokens = True
    return reading
