"""Compression (Grusky et al. 2018): words of the sources per word of the outputs, pooled. 10 means that outputs have a tenth of the
length."""

from antiphon.metrics.word_shares import WordShare


def _lengths(said: list[str], source: list[str]) -> tuple[int, int]:
    return len(source), len(said)


plugin = WordShare("compression", "compression: source words per output word", "words", _lengths, beside="source", scale=1)
