"""ROUGE-L (Lin 2004): F1 score of the longest common subsequence of words."""

from antiphon.metrics.rouge import rouge_l

plugin = rouge_l("rouge_l")
