"""ROUGE-1 (Lin 2004): F1 score of the words that prediction and reference share."""

from antiphon.metrics.rouge import rouge_n

plugin = rouge_n("rouge1", 1)
