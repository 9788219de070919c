"""ROUGE-Lsum (Lin 2004, section 3.2): ROUGE-L by sentences, which stand on lines of their own."""

from antiphon.metrics.rouge import rouge_lsum

plugin = rouge_lsum("rouge_lsum")
