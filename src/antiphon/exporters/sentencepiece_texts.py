"""How other programs preprocess texts differently when they use Antiphon's sentencepiece vocabulary."""

from collections.abc import Mapping
from typing import Any

from antiphon.features.model_proto import with_rule
from antiphon.features.normalization import sentencepiece_rule
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.text import TextFeature

_BEFORE = ("source_prefix", "target_prefix", "tags", "context", "matches")


def model_for_sources(text: TextFeature, vocabulary: SubwordVocabulary) -> bytes:
    """The vocabulary's model, with our text preprocessing built in as far as it supports it."""
    if text.rule != "nmt_nfkc":
        return vocabulary.model_proto
    return with_rule(vocabulary.model_proto, sentencepiece_rule().serialized_model_proto())


def lost_of_texts(task: Mapping[str, Any], text: TextFeature, reader: str) -> list[str]:
    """Text preprocessing that cannot be built into the vocabulary; `reader` names the program that will not do it."""
    lost = [f"`task.{name}`: {reader} does not do this to texts; do it before." for name in _BEFORE if task.get(name)]
    if text.rule not in ("none", "nmt_nfkc"):
        lost.append(f"Sources are normalized ({text.rule}) here, but not by {reader}: give it texts in this form.")
    if text.config.lowercase:
        lost.append(f"Sources are lower-cased here, but not by {reader}: give it texts in lower case.")
    if text.config.prefix:
        lost.append(
            f"Texts begin with {text.config.prefix!r} here: put it before those that {reader} reads, and take it from what is said."
        )
    return lost
