"""Length ratio: words of the outputs per word of the references; of several references the one nearest in length counts. 1 means the same
length."""

from antiphon.metrics.word_shares import WordShare


def _lengths(said: list[str], reference: list[str]) -> tuple[int, int]:
    return len(said), len(reference)


plugin = WordShare("length_ratio", "length ratio: output words per reference word", "words", _lengths, beside="reference", scale=1)
