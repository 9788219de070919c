#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3, on a sentencepiece 0.2.3 model that has a piece for every byte.
#
# Expected: `T5Tokenizer.from_pretrained` reads a text as the sentencepiece model in its folder does: what has no piece of its own becomes
# bytes (`<0x25>` for `%`), and decoding gives the text back.
# Seen: the tokenizer is built without byte fallback, whatever the model says. `50%` and `{sat}` lose their signs: they are read as the unknown
# symbol, and decoding leaves them out without a word. mT5 and UMT5 are published with such models.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install transformers==5.23.0 tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
"$folder/env/bin/python" - "$folder" <<'P'
import json
import sys
from pathlib import Path

import sentencepiece
import transformers

model = Path(sys.argv[1]) / "model"
model.mkdir()
texts = ["the cat sat on the mat", "a dog ran away", "houses and trees and not so fast"] * 50
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_prefix=str(model / "spiece"), vocab_size=320, hard_vocab_limit=False, byte_fallback=True,
    pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
)
(model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0}))
truth = sentencepiece.SentencePieceProcessor(model_file=str(model / "spiece.model"))
tokenizer = transformers.T5Tokenizer.from_pretrained(model)
text = "the cat {sat} 50%"
own, theirs = truth.decode(truth.encode(text)), tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
print(transformers.__version__, "sentencepiece:", repr(own), "transformers:", repr(theirs))
assert own == text, "sentencepiece no longer gives the text back"
assert "%" not in theirs and "{" not in theirs, "the tokenizer writes bytes now"
P
