"""Proposals for summaries: the longer text as document; a vocabulary of words, most of which can be copied; suitable limits."""

import numpy as np

from antiphon.contracts.drafting import Draft, Look, Proposal
from antiphon.features.vocabulary_size import WORD_SEEN, WORDS_MOST
from antiphon.tasks.column_names import DOCUMENTS, SUMMARIES, guess_pair, shown
from antiphon.tasks.text_draft import widths

_READ = ((5.0, 60), (15.0, 120), (60.0, 250), (float("inf"), 400))
"""Up to so many minutes, so many words of a document are read at most: what is said first says most (See et al. 2017)."""


def draft(look: Look) -> Draft:
    """Propose settings for summarization."""
    source, target = guess_pair(look, DOCUMENTS, SUMMARIES, "summarization")
    read, said = look.columns[source], look.columns[target]
    if said.words > read.words and not any(look.asked.get(f"task.{side}") for side in ("source", "target")):
        source, target, read, said = target, source, said, read
    affordable = next(words for minutes, words in _READ if look.minutes <= minutes)
    most = int(min(affordable, max(20, _rounded(float(np.quantile(read.lengths, 0.9)) * 1.2))))  # punctuation counts, too
    longest = int(max(8, _rounded(float(np.quantile(said.lengths, 0.99)) * 1.2)))
    settings = {
        "task.source": Proposal(source, shown(read)),
        "task.target": Proposal(target, shown(said)),
        "task.vocabulary": Proposal(
            {"kind": "word", "punctuation": "split", "size": "auto"},
            f"words that occur {WORD_SEEN} times, at most {WORDS_MOST:,}; the others are copied",
        ),
        "data.limits": Proposal(
            {"max_source_length": most, "too_long": "truncate"},
            "words: what is said first says most, and long ones take long; what is cut is counted",
        ),
        "training.loss": Proposal({"name": "pointer"}, "words are said or copied; `coverage: 0.5` (and of the model) against repetition"),
        "training.optimizer": Proposal({"name": "adamw", "learning_rate": 3e-3}, "what narrow LSTMs learn fastest with"),
        "search.limits": Proposal({"max_length": longest, "max_ratio": 1.0}, "words of the longest summaries"),
    }
    dropped = ("model.preset", "model.coverage")
    return Draft(settings=settings, models=widths(), dropped=dropped, said=(f"Learns to summarize {shown(read)} as {shown(said)}.",))


def _rounded(value: float) -> float:
    return float(np.ceil(value / 10) * 10) if value > 20 else float(np.ceil(value))
