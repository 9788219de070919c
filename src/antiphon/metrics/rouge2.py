"""ROUGE-2 (Lin 2004): F1 score of the pairs of neighbouring words that prediction and reference share."""

from antiphon.metrics.rouge import rouge_n

plugin = rouge_n("rouge2", 2)
