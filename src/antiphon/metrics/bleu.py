"""BLEU (Papineni et al. 2002), equal to sacrebleu's (Post 2018): n-grams up to 4, exponential smoothing.

`bleu` has the tokenizer that the field uses for the script of the references: 13a, but zh for Chinese, ja-mecab for Japanese and ko-mecab
for Korean (13a takes a Chinese sentence for one word). Where those of Japanese and Korean are not installed, characters are counted.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.bleu import BLEU

from antiphon.metrics.interface import DECIDING, Metric
from antiphon.metrics.sacrebleu_statistics import segment_statistics, settings_signature
from antiphon.metrics.scripts import Script, script_of

_ORDERS = 4


@final
class Bleu(Metric):
    """BLEU with one of sacrebleu's tokenizers, in percent.

    Statistics: length of the prediction, length of the closest reference, matched n-grams of orders 1 to 4, predicted n-grams likewise.
    """

    worthless = 0.0

    def __init__(self, name: str, tokenizer: str, summary: str, *, by_script: bool = False, note: str = ""):
        self.name, self.summary, self.higher_is_better, self.note = name, summary, True, note
        self._by_script = by_script
        # `force` only silences a warning about texts that look tokenized.
        self._bleu = BLEU(tokenize=tokenizer, force=True)
        self.signature = settings_signature(self._bleu)

    def suited(self, references: Sequence[Sequence[Any]]) -> "Bleu":
        """The metric with the tokenizer for the references' script."""
        if not self._by_script:
            return self
        texts = chain.from_iterable(references[:DECIDING])
        script = script_of(text for text in texts if isinstance(text, str))
        return self if script is None else _of_script(self.name, self.summary, script)

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """Lengths and n-gram counts of each item."""
        return segment_statistics(self._bleu, predictions, references)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """Brevity penalty times the geometric mean of the n-gram precisions."""
        length, reference_length = total[..., 0], total[..., 1]
        matched, predicted = total[..., 2 : 2 + _ORDERS], total[..., 2 + _ORDERS :]
        # An order without a match counts as 1/2 of a match, the next one as 1/4, and so on (sacrebleu's "exp", NIST's mteval-v13a).
        halvings = np.cumsum(matched == 0, axis=-1)
        smoothed = np.where(matched == 0, 0.5**halvings, matched)
        precisions = smoothed / np.maximum(predicted, 1)
        log_penalty = np.minimum(0.0, 1 - reference_length / np.maximum(length, 1))
        score = 100 * np.exp(log_penalty + np.log(precisions).mean(axis=-1))
        # Without any match, or with no sentence long enough for an order, BLEU is 0 by definition.
        defined = (matched.sum(axis=-1) > 0) & (predicted > 0).all(axis=-1)
        return np.asarray(np.where(defined, score, 0.0))


@cache
def _of_script(name: str, summary: str, script: Script) -> Bleu:
    tokenizer, language = _TOKENIZERS[script]
    try:
        return Bleu(name, tokenizer, summary)
    except RuntimeError:  # sacrebleu's, for a package that is not installed
        note = (
            f"BLEU of {language} counts characters here (`tok:char`), which gives other numbers than words do: `pip install"
            f" 'sacrebleu[{script}]'` brings the tokenizer that papers use (`tok:{tokenizer}`)."
        )
        return Bleu(name, "char", summary, note=note)


_TOKENIZERS: dict[Script, tuple[str, str]] = {"zh": ("zh", "Chinese"), "ja": ("ja-mecab", "Japanese"), "ko": ("ko-mecab", "Korean")}

plugin = Bleu(
    "bleu", "13a", "BLEU, percent: n-gram precision with a brevity penalty; the script decides the tokenizer (sacrebleu)", by_script=True
)
