"""Repetition: the share of bigrams (pairs of neighbouring words) that occurred before in the same output: 100 minus distinct-2 (Li et al.
2016), output by output.

Bigrams, since a good sentence says "the" twice, but hardly "the file" twice; and since trigrams, which long summaries are judged by, are
few in a summary of six words. `repetition_1` counts words.
"""

from antiphon.metrics.word_shares import repetition

plugin = repetition("repetition", 2)
