"""Repetition of words: the share of words that the same output has said before. It sees "data data", which has but one pair of words."""

from antiphon.metrics.word_shares import repetition

plugin = repetition("repetition_1", 1)
