"""chrF++ (Popović 2017): chrF with word unigrams and bigrams."""

from antiphon.metrics.chrf import Chrf

plugin = Chrf("chrf_plus", 2, "chrF2++, percent: F-score over character n-grams and word n-grams up to 2 (sacrebleu)")
