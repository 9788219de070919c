"""Reads parts of a sentencepiece model file that its processor does not give: the algorithm, and which pieces are user-defined.

The file is one protocol buffer. Reading two facts from it, and giving it another normalization, takes no further package.

    ModelProto     1: repeated SentencePiece   2: TrainerSpec   3: NormalizerSpec
    SentencePiece  1: text   2: score   3: type (1 normal, the default; 2 unknown; 3 control; 4 user-defined; 5 unused; 6 byte)
    TrainerSpec    3: model type (1 unigram, the default; 2 BPE; 3 word; 4 character)
    NormalizerSpec 1: name   2: the rule, compiled   3 to 5: what is done with blanks
"""

from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.errors import CheckpointError

NORMAL, USER_DEFINED = 1, 4
_ALGORITHMS = {1: "unigram", 2: "bpe", 3: "word", 4: "character"}


@dataclass(frozen=True)
class ModelFacts:
    """`algorithm` is "unigram", "bpe", "word" or "character"; `types` has the type of each piece, in the order of the file."""

    algorithm: str
    types: tuple[int, ...]


def read_facts(model: bytes) -> ModelFacts:
    """The facts of a serialized model.

    Raises CheckpointError when the bytes are no protocol buffer.
    """
    algorithm, types = 1, []
    try:
        for field, value in _fields(model):
            if field == 1 and isinstance(value, bytes):
                types.append(next((int(inner) for number, inner in _fields(value) if number == 3), NORMAL))
            elif field == 2 and isinstance(value, bytes):
                algorithm = next((int(inner) for number, inner in _fields(value) if number == 3), algorithm)
    except IndexError as error:
        raise CheckpointError("A sentencepiece model must be a protocol buffer, but ends in the middle of a field.") from error
    return ModelFacts(_ALGORITHMS.get(algorithm, str(algorithm)), tuple(types))


def with_rule(model: bytes, normalizer: bytes) -> bytes:
    """The model with the normalization of another (a `SentencePieceNormalizer` is one, too), and with its own treatment of blanks."""
    rule = [(number, value) for number, value in _normalizer(normalizer) if number < 3]
    blanks = [(number, value) for number, value in _normalizer(model) if number >= 3]
    others = [(number, value) for number, value in _fields(model) if number != 3]
    return b"".join(_field(*field) for field in (*others, (3, b"".join(_field(*field) for field in (*rule, *blanks)))))


def _normalizer(model: bytes) -> Iterator[tuple[int, int | bytes]]:
    return _fields(next((value for number, value in _fields(model) if number == 3 and isinstance(value, bytes)), b""))


def _field(number: int, value: int | bytes) -> bytes:
    """A field in the form of `_fields`, serialized: a varint, or bytes with their length."""
    if isinstance(value, int):
        return _as_varint(number << 3) + _as_varint(value)
    return _as_varint(number << 3 | 2) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: integers for varints, bytes for everything else."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise CheckpointError(f"A sentencepiece model must be a protocol buffer, but has a field of wire type {kind}.")
        if position + length > len(message):
            raise IndexError("the field is longer than the message")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A varint, an integer in groups of seven bits, lowest first; and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return value, position
