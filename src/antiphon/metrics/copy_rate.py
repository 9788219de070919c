"""Copy rate: the share of the output's words that its source has. It is the extractive fragment coverage of Grusky et al. (2018), pooled
over the words of all outputs: each word of the source is a fragment of it, so nothing needs to be aligned."""

from antiphon.metrics.word_shares import WordShare


def _copied(said: list[str], source: list[str]) -> tuple[int, int]:
    known = set(source)
    return sum(word in known for word in said), len(said)


plugin = WordShare("copy_rate", "copy rate, percent: words of the output that the source has", "words", _copied, beside="source", scale=100)
