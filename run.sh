#!/usr/bin/env bash
# Everything, from an empty checkout to a verdict:  ./run.sh [options of aasist_training.py]
# The tests:                                        ./run.sh test [options of pytest]
# A run with a name of its own:                     RUN_NAME=mine ./run.sh --seed 2
# After a stop, the same command resumes.
set -euo pipefail
cd "$(dirname "$0")"
RUN_NAME="${RUN_NAME:-default}"
step() { printf '\n$ %s\n' "$*"; "$@"; }
usage() { sed -n '2,5s/^# //p' run.sh; }
wrong() { { printf 'error: %s\n' "$1"; usage; } >&2; exit 2; }

case "${1:-}" in
    test) ;;
    ""|-h|--*)
        for word in "$@"; do
            case "${word%%=*}" in
                -h|--help) usage; exit ;;
                --run_name|--seeds|--data_dir|--checkpoint_dir|--results_dir)
                    wrong "$word is for the training alone: run the steps one by one, or set RUN_NAME" ;;
            esac
        done ;;
    *) wrong "$1 is no option, and not the word test" ;;
esac

if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -x .venv/bin/python ] || step python3 -m venv .venv
    . .venv/bin/activate
fi
printf '\nInstalling packages. The first time this takes some minutes and gigabytes, and prints nothing.'
step python -m pip install --quiet --disable-pip-version-check -r requirements.txt
if [ "${1:-}" = test ]; then
    shift
    step python -m pytest -n 2 --dist loadfile "$@"     # two processes, whole files in one
    exit
fi
python -c "from notebooks.aasist_training import parse; parse()" --small_model --resume "$@"    # wrong options end it here
step python utils/prepare_dataset.py
step python utils/preprocess_data.py --subset all
step python notebooks/aasist_training.py --small_model --device cpu --test --resume --run_name "$RUN_NAME" "$@"
step python utils/simplified_inference.py --input_file "results/$RUN_NAME/examples" --model "models/checkpoints/$RUN_NAME/best.onnx" --force_cpu

printf '\nDone. These files are new:\n'
printf '  %s\n' "models/checkpoints/$RUN_NAME/best.onnx   the detector" \
    "results/$RUN_NAME/metrics.json          its figures" \
    "results/$RUN_NAME/report.html           the report: open it in a browser"
printf 'To judge your own recording with the pretrained model (without --model: with the new one):\n  %s\n' \
    "$(command -v python) utils/simplified_inference.py --input_file FILE --model models/pretrained/detector.onnx --force_cpu"
