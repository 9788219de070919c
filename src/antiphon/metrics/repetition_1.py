"""Repetition of words: the share of words that occurred before in the same output. It also finds "data data", a single pair of words."""

from antiphon.metrics.word_shares import repetition

plugin = repetition("repetition_1", 1)
