"""BLEU for Chinese: sacrebleu's tokenizer `zh` separates Chinese characters; otherwise the same as `bleu`."""

from antiphon.metrics.bleu import Bleu

plugin = Bleu("bleu_zh", "zh", "BLEU for Chinese, percent: Chinese characters count as words (sacrebleu)")
