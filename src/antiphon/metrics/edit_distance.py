"""Error rates by edit distance: substitutions, deletions and insertions per unit of the reference (Levenshtein 1966).

Word, token and character error rate are this one formula over different units. The alignment is jiwer's.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

import jiwer
import numpy as np
from jaxtyping import Float

from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_texts

Split = Callable[[str], list[str]]
Normalize = Callable[[str], str]


def tokens(text: str) -> list[str]:
    """The tokens between whitespace."""
    return text.split()


def characters(text: str) -> list[str]:
    """Unicode code points, with the spaces between words, without those around the text."""
    return list(text.strip())


@final
class ErrorRate(Metric):
    """Errors per unit of the reference, in percent; it may exceed 100. Case, punctuation and Unicode form are unchanged, unless `normalize`
    changes them; the signature then has its name as `norm`.

    Statistics: substitutions, deletions, insertions, length of the reference. Of several references the one with the fewest errors counts,
    of equally near ones the longest, so that their order does not matter.
    """

    worthless = 100.0

    def __init__(self, name: str, summary: str, split: Split, *, normalize: Normalize | None = None, norm: str = "none"):
        self.name, self.summary, self.higher_is_better = name, summary, False
        self.signature = f"unit:{split.__name__}|norm:{norm}|ref:nearest"
        self._split, self._normalize = split, normalize

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """Errors by kind, and the reference length, of each item."""
        check_texts(predictions, references)
        owners = [item for item, alternatives in enumerate(references) for _ in alternatives]
        pairs = self._edits(
            [predictions[item] for item in owners], [reference for alternatives in references for reference in alternatives]
        )
        nearest = np.empty((len(predictions), 4))
        # The sorted order ends with each item's best: fewest errors, then longest reference; later rows overwrite earlier ones.
        for row in np.lexsort((pairs[:, 3], -pairs[:, :3].sum(axis=1))):
            nearest[owners[row]] = pairs[row]
        return nearest

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """All errors per unit of the references."""
        return rate(np.asarray(total[..., :3].sum(axis=-1)), total[..., 3])

    def _edits(self, predictions: list[str], references: list[str]) -> Float[np.ndarray, "pairs 4"]:
        def split_all(texts: list[str]) -> list[list[str]]:
            return [self._split(text if self._normalize is None else self._normalize(text)) for text in texts]

        # jiwer's own transforms split at single spaces only; it calls whatever it is given.
        aligned = jiwer.process_words(references, predictions, split_all, split_all)  # type: ignore[arg-type]
        edits = np.zeros((len(references), 4))
        for row, (chunks, units) in enumerate(zip(aligned.alignments, aligned.references, strict=True)):
            edits[row, 3] = len(units)
            for chunk in chunks:
                if chunk.type == "substitute":
                    edits[row, 0] += chunk.ref_end_idx - chunk.ref_start_idx
                elif chunk.type == "delete":
                    edits[row, 1] += chunk.ref_end_idx - chunk.ref_start_idx
                elif chunk.type == "insert":
                    edits[row, 2] += chunk.hyp_end_idx - chunk.hyp_start_idx
        return edits


def rate(errors: Float[np.ndarray, "..."], length: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Errors per unit of the reference in percent. If all references are empty, any error makes 100 percent, as in sacrebleu's TER."""
    per_unit = errors / np.where(length > 0, length, 1.0)
    return np.asarray(100 * np.where(length > 0, per_unit, np.minimum(errors, 1.0)))
