"""Learning rates that differ between parameters: lower with depth, and by patterns of names.

Layer-wise decay (Howard and Ruder 2018; as a power of one factor, Clark et al. 2020) lets what lies near the output change fastest: a
layer's rate is `layer_decay` to the power of its distance from the top of its stack.

Unusual: depth is read from the names of parameters, so it needs no help from an architecture. The first number in a name is the layer's
(`encoder.3.norm.weight`, `network.decoder.block.1.layer.0...`), and what stands before it names the stack. Encoder and decoder are two
stacks side by side, each with its own top, since every layer of a decoder reads the top of the encoder. Embeddings and front ends lie below
the deepest stack; all else (the head, bridges, norms behind the last layer) lies at the top.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping

from antiphon.errors import ConfigError

_NUMBERED = re.compile(r"(.+?)\.(\d+)\.")
_LOWEST = ("embed", "frontend", "shared", "position", "subsampl", "conv")


def distances(names: Iterable[str]) -> dict[str, int]:
    """The distance of each parameter's layer from the top; {} when no name has a layer number."""
    names = list(names)
    places = {name: found for name in names if (found := _NUMBERED.match(name)) and not _is_lowest(found[1])}
    tops: dict[str, int] = {}
    for found in places.values():
        tops[found[1]] = max(tops.get(found[1], 0), int(found[2]))
    if not tops:
        return {}
    lowest = max(tops.values()) + 2
    return {
        name: 1 + tops[places[name][1]] - int(places[name][2]) if name in places else lowest if _is_lowest(name) else 0 for name in names
    }


def rate_factors(names: Iterable[str], layer_decay: float | None, factors: Mapping[str, float]) -> dict[str, float]:
    """The factor of the learning rate of each trainable parameter. If several patterns match, their factors are multiplied.

    Raises ConfigError when a pattern matches nothing, or the names tell no depth.
    """
    found = dict.fromkeys(names, 1.0)
    if layer_decay is not None:
        below = distances(found)
        if not below:
            raise ConfigError("`training.optimizer.layer_decay` must be left out: this model has no numbered layers to train.")
        found = {name: layer_decay ** below[name] for name in found}
    for pattern, factor in factors.items():
        matched = [name for name in found if fnmatch.fnmatchcase(name, pattern)]
        if not matched:
            beginnings = ", ".join(dict.fromkeys(name.split(".")[0] + ".*" for name in found))
            raise ConfigError(
                f"`training.optimizer.factors` must match parameters that are trained, but {pattern!r} matches none of: {beginnings}."
            )
        for name in matched:
            found[name] *= factor
    return found


def _is_lowest(name: str) -> bool:
    return any(word in name for word in _LOWEST)
