#!/usr/bin/env bash
# Everything that wants a GPU, in at most twelve minutes: what is promised of one, training at each precision, compiled and not, shards on the
# GPU and off it, decoding with compiled steps and without, and a training to convergence in what is left. Each part has a limit of its own,
# and what it prints goes into OUT, too.
#
#     benchmarks/gpu.sh [OUT]            OUT is gpu-results by default
#
# PYTHON is the interpreter (.venv/bin/python by default). DEVICE=cpu tries the script itself, with small sizes.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu-results}
python=${PYTHON:-.venv/bin/python}
device=${DEVICE:-cuda}
mkdir -p "$out"

part() {  # part SECONDS NAME COMMAND...
    local seconds=$1 name=$2
    shift 2
    echo "== $name"
    timeout "$seconds" "$@" 2>&1 | tee "$out/$name.txt"
    [ "${PIPESTATUS[0]}" = 0 ] || echo "$name did not end well, or not within $seconds s" | tee -a "$out/$name.txt"
}

sizes=(--presets small base big)
compiled=(--presets base big --precisions fp32 bf16 bf16_weights --rounds 2)
shards=(--preset big --rows 256 --updates 8)
if [ "$device" = cpu ]; then
    sizes=(--presets tiny --precisions fp32 --tokens 512 --updates 2 --rounds 1)
    compiled=("${sizes[@]}" --clock cpu)
    shards=(--preset tiny --symbols 1000 --updates 2 --rounds 1)
fi
part 20 device "$python" -c "import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU')"
part 100 promises "$python" -m pytest -q -m slow -p no:cacheprovider tests/gpu
part 100 training "$python" benchmarks/gpu_training.py --device "$device" "${sizes[@]}"
part 120 compiled "$python" benchmarks/gpu_training.py --device "$device" "${compiled[@]}" --compile --ragged
part 60 shards "$python" benchmarks/sharded_training.py --device "$device" --ranks 1 --ways whole fsdp offload "${shards[@]}"
rounds=3
[ "$device" = cpu ] && rounds=1
part 110 decoding "$python" benchmarks/decoding_speed.py --compiled --device "$device" --rounds "$rounds"
if [ "$device" = cuda ]; then
    part 170 pronunciation "$python" -m antiphon train recipes/pronunciation.yaml --out "$out/pronunciation" \
        --set training.device=cuda --set training.precision=bf16 --set training.max_minutes=2
    part 40 pronunciation-test "$python" -m antiphon evaluate "$out/pronunciation"
fi
