#!/usr/bin/env bash
# From an empty checkout to a trained, evaluated detector and a verdict: ./run.sh [options of aasist_training.py]
# The tests: ./run.sh test [options of pytest]. Stopped anywhere, the same command goes on.
# Each run has a name: RUN_NAME=mine ./run.sh --seed 2
set -euo pipefail
cd "$(dirname "$0")"
RUN_NAME="${RUN_NAME:-default}"
step() { printf '\n$ %s\n' "$*"; "$@"; }

if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -x .venv/bin/python ] || step python3 -m venv .venv
    . .venv/bin/activate
fi
printf '\nThe packages: some minutes and gigabytes the first time, in silence.'
step python -m pip install --quiet --disable-pip-version-check -r requirements.txt
if [ "${1:-}" = test ]; then
    shift
    step python -m pytest "$@"
    exit
fi
step python utils/prepare_dataset.py
step python utils/preprocess_data.py --subset all
step python notebooks/aasist_training.py --small_model --device cpu --test --resume --run_name "$RUN_NAME" "$@"
step python utils/simplified_inference.py --input_file "results/$RUN_NAME/examples" --model "models/checkpoints/$RUN_NAME/best.onnx" --force_cpu

printf '\nDone. Made:\n'
printf '  %s\n' "models/checkpoints/$RUN_NAME/best.onnx   the detector" "results/$RUN_NAME/metrics.json          its figures" \
    "results/$RUN_NAME/report.html           the report: open it in a browser"
printf 'Your own recording, judged by the model in the box (without --model: by the one just trained):\n  %s\n' \
    "$(command -v python) utils/simplified_inference.py --input_file FILE --model models/pretrained/detector.onnx --force_cpu"
