"""Translates our search settings to those of transformers' `generate`, so that it gives the same outputs as `antiphon predict`.

Our limit of length grows with each source, theirs is one number, so theirs is what the longest source would get: outputs that no limit
cuts are the same. Whatever has no counterpart is listed instead of being left out silently.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.contracts.specs import TokenSpec
from antiphon.search.limits import SYMBOLS_PER_WORD

_LENGTH_PENALTY = {"none": 0.0, "average": 1.0, "gnmt": 1.0}  # their exponent of the length; that of `power` is `alpha`
_LONGEST_SOURCE = 512  # where the recipe sets no limit


def generation_settings(
    search: Mapping[str, Any], spec: TokenSpec, opening: Sequence[int], longest_source: int | None, positions: int | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The settings for the plain values of a search, and one sentence for each setting that has no counterpart.

    `opening` is what every output begins with, `longest_source` the limit of the training data, `positions` those that the decoder has.
    """
    processors, limits = search.get("processors", {}), search.get("limits", {})
    forbidden = {spec.pad, spec.start, *processors.get("forbidden", ())} | (
        set() if processors.get("allow_unknown", True) else {spec.unknown}
    )
    first = set(processors.get("forbidden_first", ()))
    if not processors.get("allow_suppressed", False):
        forbidden, first = forbidden | set(spec.suppressed), first | set(spec.suppressed_first)
    settings = {
        "pad_token_id": spec.pad,
        "eos_token_id": spec.end,
        "decoder_start_token_id": spec.start,
        "forced_bos_token_id": opening[0] if opening else None,
        "suppress_tokens": sorted(forbidden - {spec.end}) or None,
        "begin_suppress_tokens": sorted(first) or None,
        "no_repeat_ngram_size": processors.get("no_repeat_ngram_size", 0),
        "repetition_penalty": processors.get("repetition_penalty", 1.0),
        "max_new_tokens": _longest(limits, longest_source, positions),
        "do_sample": False,
        "num_beams": 1,
    }
    if limits.get("min_length"):
        settings["min_new_tokens"] = limits["min_length"]
    chosen, lost = _CHOOSERS.get(search["name"], _unknown)(search)
    settings |= chosen
    lost += [*_lost_limits(limits, settings["max_new_tokens"]), *_lost_rules(processors, spec, settings)]
    lost += _lost_scorers(search)
    if search.get("alignment"):
        lost.append("`search.alignment: true`: `generate` gives no alignment with its texts.")
    return settings, lost


def _lost_scorers(search: Mapping[str, Any]) -> list[str]:
    """The scorers beside the model, in any search; they are lost."""
    lost = [
        f"`search.{name}: {search[name]}` has no counterpart in `generate`." for name in ("ctc_weight", "length_reward") if search.get(name)
    ]
    named = {"language_model": search.get("language_model"), "hot_words": search.get("hot_words", {}).get("phrases")}
    return lost + [f"`search.{name}` has no counterpart in `generate`." for name, value in named.items() if value]


def _lost_limits(limits: Mapping[str, Any], most: int) -> list[str]:
    lost = []
    if limits.get("unit", "symbols") == "words":
        lost.append(f"`search.limits.unit: words`: `generate` counts symbols, of which every output may have {most:,}.")
    elif (ratio := limits.get("max_ratio", 0)) and (limits.get("max_length") is None or limits["max_length"] > limits.get("max_offset", 0)):
        lost.append(
            f"`search.limits.max_ratio: {ratio:g}`: `generate` knows no limit that grows with the source, so every output may have {most:,}"
            " symbols, as many as the longest source gets here."
        )
    if limits.get("min_ratio"):
        lost.append(f"`search.limits.min_ratio: {limits['min_ratio']:g}`: `generate` knows no minimum that grows with the source.")
    return lost


def _lost_rules(processors: Mapping[str, Any], spec: TokenSpec, settings: Mapping[str, Any]) -> list[str]:
    lost = []
    ends = "the symbol that starts its decoder counts as said there, and is the end symbol"
    penalty, several = processors.get("repetition_penalty", 1.0), settings["num_beams"] > 1
    differences = []
    if several:
        differences.append("it changes log-probabilities of beams, where logits are changed here")
    if spec.start == spec.end:
        differences.append(f"{ends}, which it punishes from the first step on")
    if penalty != 1 and differences:
        lost.append(f"`search.processors.repetition_penalty: {penalty:g}`: `generate` does otherwise: {', and '.join(differences)}.")
    if processors.get("no_repeat_ngram_size") == 1 and spec.start == spec.end:
        lost.append(f"`search.processors.no_repeat_ngram_size: 1`: `generate` never ends by itself: {ends}.")
    return lost


def for_speech(
    settings: Mapping[str, Any], kept: Mapping[str, Any], opening: Sequence[int], languages: tuple[str, str] | None
) -> dict[str, Any]:
    """Settings of `generate` for a Whisper, which makes the beginning from language and task, and counts it as given.

    `kept` is what the published generation config says beside the search.
    """
    found = {**kept, **settings, "max_new_tokens": settings["max_new_tokens"] - len(opening)}
    del found["forced_bos_token_id"]
    if languages is not None:
        spoken, written = languages
        found |= {"language": f"<|{spoken}|>", "task": "transcribe" if spoken == written else "translate"}
    return found


def _longest(limits: Mapping[str, Any], longest_source: int | None, positions: int | None) -> int:
    source = longest_source or _LONGEST_SOURCE
    most = limits.get("max_length")
    elements = math.ceil(float(limits.get("max_ratio", 2.0)) * source) + int(limits.get("max_offset", 16))
    elements = max(elements, int(limits.get("min_length", 0)))
    elements = elements if most is None else min(elements, int(most))
    steps = 1 + elements * (SYMBOLS_PER_WORD if limits.get("unit") == "words" else 1)  # the end counts
    return steps if positions is None else min(steps, positions - 1)  # the start has a position, too


def _greedy(search: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return {}, []


def _beam(search: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    lost = []
    if search["length_penalty"] == "gnmt":
        lost.append("`search.length_penalty: gnmt`: `generate` divides by the length instead.")
    for name, usual in (("patience", 1.0), ("coverage_penalty", 0.0), ("groups", 1)):
        if search[name] != usual:
            lost.append(f"`search.{name}: {search[name]}` has no counterpart in `generate`.")
    if search["spans"]:
        lost.append("`search.spans` has no counterpart in `generate`.")
    size = search["beam_size"]
    if size == 1:
        return {}, lost
    alpha = 0.6 if search["alpha"] is None else search["alpha"]
    settings = {
        "num_beams": size,
        "early_stopping": True,
        "length_penalty": _LENGTH_PENALTY.get(search["length_penalty"], alpha),
        "num_return_sequences": search["n_best"],
    }
    return settings, lost


def _sampling(search: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    settings = {
        "do_sample": True,
        "temperature": search["temperature"],
        "top_k": search["top_k"] or 0,
        "top_p": search["top_p"],
        "min_p": search["min_p"] or None,
        "epsilon_cutoff": search["epsilon"],
        "num_return_sequences": search["samples"],
    }
    lost = f"`search.seed: {search['seed']}`: `generate` draws other random numbers, so it says other things."
    return settings, [lost]


def _unknown(search: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    lost = f"`search.name: {search['name']}` has no counterpart in `generate`, which uses a beam of 5 instead."
    return {"num_beams": 5, "early_stopping": True, "length_penalty": 1.0}, [lost]


_CHOOSERS = {"greedy": _greedy, "beam": _beam, "sampling": _sampling}
