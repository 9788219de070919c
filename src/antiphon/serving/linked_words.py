"""Links between the words of a prediction and those of its source, for display and for placing tags.

Links come from attention: the model is asked what it thinks of what it said. Copies come from the mixture of a model that generates or
copies. Both are told in words, which are what white space parts, counted from 0, so that a client need not know of any vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.prediction.predictor import Predictor

_LIKELY = 0.5  # from here on a symbol was copied rather than generated
_NO_WORD = -1


def with_links(predictor: "Predictor", records: Sequence[Mapping[str, Any]], plain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Predictions, and their alternatives, with `word_alignment` (`0-0 1-2`, words of the source by words of the prediction) where the
    model has attention, and with `copied_words` where it reports which words it copied: `{"word": 2, "source_word": 5, "probability":
    0.98}`.
    """
    target = predictor.task.target_column
    if target is None:
        return plain
    linked = [{**one, "alternatives": list(map(dict, one["alternatives"]))} if "alternatives" in one else dict(one) for one in plain]
    said = [({**record, target: one["prediction"]}, one) for record, one in _with_records(records, linked)]
    try:
        scored = predictor.score([record for record, _ in said], alignment=True, on_error="keep")
    except AntiphonError:  # no attention, or an engine that does not show it
        scored = []
    for (_, one), found in zip(said, scored, strict=False):
        if "word_alignment" in found.details:
            one["word_alignment"] = found.details["word_alignment"]
    for record, one in said:
        if one.get("copied"):
            one["copied_words"] = _copied_words(predictor, record, one["copied"])
    return linked


def _with_records(
    records: Sequence[Mapping[str, Any]], plain: Sequence[dict[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Each prediction that is not empty, and each of its alternatives, with its record."""
    for record, one in zip(records, plain, strict=True):
        for said in (one, *one.get("alternatives", ())):
            if said["prediction"] and "error" not in said:
                yield record, said


def _copied_words(predictor: "Predictor", record: Mapping[str, Any], copied: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The copied words of a prediction, each with the source word of its likeliest symbol. Empty where tokenizing the text does not give
    back the predicted symbols."""
    from antiphon.contracts.abilities import KnowsWords

    if not isinstance(predictor.task, KnowsWords):
        return []
    source, target = predictor.task.word_places(record)
    found: dict[int, dict[str, Any]] = {}
    for word, one in zip(target.tolist(), copied, strict=False) if len(target) == len(copied) else ():
        place, probability = one["position"], one["probability"]
        if word == _NO_WORD or not 0 <= place < len(source) or probability < _LIKELY or source[place] == _NO_WORD:
            continue
        if word not in found or probability > found[word]["probability"]:
            found[word] = {"word": word, "source_word": int(source[place]), "probability": probability}
    return [found[word] for word in sorted(found)]
