#!/usr/bin/env bash
# torch 2.13.0 on a CPU: an LSTM over packed sequences (`pack_padded_sequence`), which is how sequences of different lengths are meant to
# be read.
#
# Expected: the same kernel as for padded sequences, with less to compute.
# Seen: oneDNN's layer is used only as long as all lengths are equal. Let one of eight sequences be one step shorter, and the layer is a loop
# over steps: 822 operations instead of 55.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/env/bin/python" - <<'P' 2>/dev/null
import torch
from torch.nn.utils.rnn import pack_padded_sequence
from torch.profiler import ProfilerActivity, profile

layer, values = torch.nn.LSTM(32, 32, batch_first=True), torch.randn(8, 20, 32)
counts = {}
for name, lengths in (("equal", [20] * 8), ("one is shorter", [20] * 7 + [19])):
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as seen:
        layer(pack_padded_sequence(values, torch.tensor(lengths), batch_first=True))
    operations = {event.key: event.count for event in seen.key_averages()}
    counts[name] = operations.get("aten::mkldnn_rnn_layer", 0), sum(operations.values())
    print(torch.__version__, name, "oneDNN layers:", counts[name][0], "operations:", counts[name][1])
assert counts["equal"][0] == 1, "oneDNN is not used at all here"
assert counts["one is shorter"][0] == 0 and counts["one is shorter"][1] > 5 * counts["equal"][1], "packed sequences have a kernel now"
P
