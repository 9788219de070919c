#!/usr/bin/env bash
# torch 2.13.0 on a CPU: SGD with momentum and a scaled loss (torch.amp.GradScaler), whose first gradient overflows, as the first ones often do.
#
# Expected: the update that overflowed is left out, and training goes on as if it had not been.
# Seen: with fused=True the momentum is allocated in the update that is left out and never written to, yet later updates add to it: weights
# become whatever was in that memory (not a number where torch fills such memory, as here). Without fused=True all is well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install torch==2.13.0 numpy==2.4.6
"$folder/env/bin/python" - <<'P'
import math

import torch

torch.use_deterministic_algorithms(True)  # so that memory nobody has written to is NaN, and not what happens to be there


def train(fused):
    weight = torch.nn.Parameter(torch.zeros(8))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for slope in (float("inf"), 1.0):  # the first gradient overflows, as the first ones of a scaled loss do
        optimizer.zero_grad()
        scaler.scale((weight * torch.full((8,), slope)).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    return weight.detach()[0].item()


said = {fused: train(fused) for fused in (False, True)}
print(torch.__version__, "a weight after one update that was left out and one of -0.1:", said)
assert abs(said[False] + 0.1) < 1e-6 and math.isnan(said[True]), "the first update that is left out is harmless now"
P
