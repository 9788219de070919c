"""Share of new words (See et al. 2017, figure 6): words of the output that are not in its source. 100 minus `copy_rate`."""

from antiphon.metrics.word_shares import novelty

plugin = novelty("novelty_1", 1)
