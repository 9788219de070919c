"""Share of new bigrams (See et al. 2017, figure 6): pairs of neighbouring words of the output that are not neighbours in its source."""

from antiphon.metrics.word_shares import novelty

plugin = novelty("novelty_2", 2)
