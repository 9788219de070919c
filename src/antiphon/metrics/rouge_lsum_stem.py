"""ROUGE-Lsum (Lin 2004, section 3.2): ROUGE-L by sentences, one sentence per line, English endings stripped."""

from antiphon.metrics.rouge import rouge_lsum

plugin = rouge_lsum("rouge_lsum_stem", stem=True)
