"""Word error rate (WER), where words are separated by whitespace; equal to jiwer's. Case and punctuation count: normalize texts
beforehand."""

from antiphon.metrics.edit_distance import ErrorRate, tokens

plugin = ErrorRate("word_error_rate", "WER, percent: word errors per reference word", tokens)
