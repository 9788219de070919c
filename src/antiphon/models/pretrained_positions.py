"""The number of positions of a network of transformers, read from its position tables rather than from a list of families.

Families that compute positions as they go (T5, M2M-100, NLLB, Pegasus-X), or whose tables grow (FSMT), have any number.
"""

from typing import Any

from torch import nn

from antiphon.errors import ConfigError

_TABLES = ("embed_positions", "position_embeddings")  # what they are called, from BERT to Whisper


def longest_read(network: Any) -> int | None:
    """The greatest number of elements that the encoder has positions for; None for no limit."""
    encoder = network.get_encoder()
    most = _longest(encoder)
    if most is None or encoder.config.model_type != "led":
        return most
    window = encoder.config.attention_window  # up to whole ones are sources filled
    whole = window if isinstance(window, int) else max(window)
    return most // whole * whole


def longest_said(network: Any) -> int | None:
    """The greatest number of elements that the decoder has positions for; None for no limit."""
    decoder = network.get_decoder()
    most = _longest(decoder)
    return most if most is None or decoder.config.model_type != "prophetnet" else most - 1  # which also looks one step ahead


def check_length(side: str, length: int, most: int | None) -> None:
    """Raise ConfigError, rather than IndexError, for callers that have not checked the length of a sequence."""
    if most is not None and length > most:
        raise ConfigError(f"`data.limits.max_{side}_length` must be at most {most} for this model, but a {side} has {length} elements.")


def _longest(part: Any) -> int | None:
    tables = [module for name, module in part.named_modules() if name.rsplit(".", 1)[-1] in _TABLES]
    sizes = [_positions(table) for table in tables if isinstance(table, nn.Embedding) and not hasattr(table, "make_weight")]
    return min(sizes, default=None)


def _positions(table: nn.Embedding) -> int:
    """The rows of a table after the first position: BART reserves two before it, RoBERTa and ProphetNet those up to the pad symbol's."""
    offset: int | None = getattr(table, "offset", None)
    if offset is not None:
        return table.num_embeddings - offset
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
