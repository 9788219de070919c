#!/usr/bin/env bash
# transformers 5.23.0: `max_position_embeddings` of encoder-decoder models, and sources that are longer.
#
# Expected: one meaning in all families; most of all, that no model reads more than it says it has positions for.
# Seen: with 16 positions and a source of 40, BART and Pegasus end in an IndexError, while M2M-100 (and so NLLB) and Pegasus-X, which have the
# same setting, read it without a word: their positions are computed as they are needed. Whoever cuts sources by this setting cuts
# too much for some families, and whoever does not cut stops with others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install torch==2.13.0 transformers==5.23.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/env/bin/python" - <<'P' 2>/dev/null
import torch
import transformers

sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
sizes |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 32, "max_position_embeddings": 16}
symbols, found = torch.randint(4, 30, (1, 40)), {}
for family in ("Bart", "Pegasus", "M2M100", "PegasusX"):
    config = getattr(transformers, f"{family}Config")(**sizes)
    model = getattr(transformers, f"{family}ForConditionalGeneration")(config).eval()
    try:
        with torch.no_grad():
            model(input_ids=symbols, decoder_input_ids=symbols[:, :4])
        found[family] = "read"
    except IndexError:
        found[family] = "IndexError"
    print(transformers.__version__, family, "16 positions, a source of 40:", found[family])
assert found == {"Bart": "IndexError", "Pegasus": "IndexError", "M2M100": "read", "PegasusX": "read"}, found
P
