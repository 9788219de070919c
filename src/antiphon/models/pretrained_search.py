"""The search that a published checkpoint asks for, translated to our settings, and its settings that have no counterpart.

A checkpoint names its search in `generation_config.json`; older ones in `config.json`. What they leave out stays as our defaults are.

Unusual here: transformers counts the start symbol and the end symbol in `min_length` and `max_length`, we count neither.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from antiphon.features.published import settings_in
from antiphon.store.json_text import json_text

_FILES = ("generation_config.json", "config.json")
_SPECIAL_LENGTH = 2  # the start and the end symbol, in lengths of transformers
_TOP_K = 50  # what transformers draws from where nothing is said
# Settings of `generate` that change what is found and have no counterpart here, with the value that changes nothing.
_UNKNOWN: dict[str, Any] = {
    "constraints": None,
    "diversity_penalty": 0.0,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "eta_cutoff": 0.0,
    "exponential_decay_length_penalty": None,
    "force_words_ids": None,
    "guidance_scale": None,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "penalty_alpha": None,
    "renormalize_logits": False,
    "sequence_bias": None,
    "stop_strings": None,
    "top_h": None,
    "typical_p": 1.0,
}
_KNOWN = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "do_sample",
    "early_stopping",
    "epsilon_cutoff",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_beams",
    "repetition_penalty",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
)
# Whisper's symbols that are not to be said, and how much it can say, are facts of its vocabulary (`features.pretrained_text`).
_OF_WHISPER = ("begin_suppress_tokens", "suppress_tokens", "max_length")


def published_generation(folder: Path) -> dict[str, Any]:
    """A checkpoint's generation config, as in transformers."""
    written = [settings_in(folder / name) for name in _FILES]
    found = next((values for values in written if values), {})
    ignored = _OF_WHISPER if written[-1].get("model_type") == "whisper" else ()
    names = [name for name in (*_KNOWN, *_UNKNOWN) if name not in ignored and found.get(name) is not None]
    return {name: found[name] for name in names}


def search_of(generation: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of our search with the same meaning, as plain values; empty where the checkpoint has none."""
    beams = int(generation.get("num_beams", 0))
    search: dict[str, Any] = {}
    if generation.get("do_sample") and beams <= 1:
        names = {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "epsilon_cutoff": "epsilon"}
        said = {"top_k": _TOP_K, **generation}
        search = {"name": "sampling", **{ours: said[theirs] for theirs, ours in names.items() if said.get(theirs)}}
    elif beams == 1:
        search = {"name": "greedy"}
    elif beams:
        search = {"name": "beam", "beam_size": beams, **_length_penalty(float(generation.get("length_penalty", 1.0)))}
    rules = {"limits": _limits(generation), "processors": _processors(generation)}
    search |= {name: values for name, values in rules.items() if values}
    return {"name": "beam", **search} if search else {}


def lost_of(generation: Mapping[str, Any]) -> list[str]:
    """The checkpoint's search settings that we do not support, one sentence each."""
    lost = [
        f"`{name}: {json_text(generation[name])}` has no counterpart here."
        for name, usual in _UNKNOWN.items()
        if generation.get(name) not in (None, usual)
    ]
    beams = int(generation.get("num_beams", 0))
    if beams > 1 and float(generation.get("length_penalty", 1.0)) < 0:
        lost.append(f"`length_penalty: {generation['length_penalty']}`: only powers of at least 0 are known here, so 0 is used.")
    if beams > 1 and generation.get("early_stopping", False) is not True:
        stopping = json_text(generation.get("early_stopping", False)).strip('"')
        lost.append(f"`early_stopping: {stopping}`: a beam search here stops as with true; `search.patience` makes it go on.")
    if beams > 1 and generation.get("do_sample"):
        lost.append(f"`do_sample: true`: a beam search here draws nothing, so its {beams} beams hold the best.")
    if (penalty := generation.get("repetition_penalty", 1.0)) != 1.0:
        lost.append(
            f"`repetition_penalty: {penalty}`: in transformers it counts the start symbol, too, and changes log-probabilities in beams."
        )
    if any(len(phrase) > 1 for phrase in generation.get("bad_words_ids") or ()):
        lost.append("`bad_words_ids`: those of several symbols are not banned here; give their texts as `banned` with an input.")
    return lost


def _length_penalty(exponent: float) -> dict[str, Any]:
    if exponent in (0.0, 1.0):
        return {"length_penalty": "average" if exponent else "none"}
    return {"length_penalty": "power", "alpha": exponent} if exponent > 0 else {"length_penalty": "none"}


def _limits(generation: Mapping[str, Any]) -> dict[str, int]:
    """The minimum and maximum length; as in transformers, a number of new symbols takes precedence over a length."""
    limits = {}
    fewest = int(generation["min_new_tokens"]) if "min_new_tokens" in generation else int(generation.get("min_length", 0)) - 1
    if fewest > 0:
        limits["min_length"] = fewest
    if "max_new_tokens" in generation:
        limits["max_length"] = int(generation["max_new_tokens"]) - 1
    elif "max_length" in generation:
        limits["max_length"] = int(generation["max_length"]) - _SPECIAL_LENGTH
    if "max_length" in limits:
        limits["max_length"] = max(1, limits["max_length"], fewest)
    return limits


def _processors(generation: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if generation.get("no_repeat_ngram_size"):
        found["no_repeat_ngram_size"] = int(generation["no_repeat_ngram_size"])
    if generation.get("repetition_penalty", 1.0) != 1.0:
        found["repetition_penalty"] = float(generation["repetition_penalty"])
    alone = {phrase[0] for phrase in generation.get("bad_words_ids") or () if len(phrase) == 1}
    for name, symbols in (
        ("forbidden", alone | set(generation.get("suppress_tokens") or ())),
        ("forbidden_first", generation.get("begin_suppress_tokens") or ()),
    ):
        if chosen := sorted({int(symbol) for symbol in symbols if int(symbol) >= 0}):
            found[name] = chosen
    return found
