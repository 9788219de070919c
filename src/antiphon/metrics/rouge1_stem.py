"""ROUGE-1 (Lin 2004): F1 score of the words that prediction and reference share, English endings stripped."""

from antiphon.metrics.rouge import rouge_n

plugin = rouge_n("rouge1_stem", 1, stem=True)
