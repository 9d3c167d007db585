#!/usr/bin/env bash
# These steps made the student, student.onnx, in $WORK/box. They take about ten CPU minutes. The
# same command resumes after a stop; what the teacher said is kept in $WORK/checkpoints/.statistics.
# You bring these files:
#   POOL        clips of published synthesis systems and real speech, as for make.sh. The openly
#               licensed sources of split train are trained on; those of split dev calibrate and measure
#   WORK        where all of it is made
# Optional:
#   SEEDS       of several students; the one with the middle dev EER is packed (default: 1,2,3)
#   DESCRIPTION what every verdict says of the training data
set -euo pipefail
: "${POOL:?}" "${WORK:?}"
absolute() { (cd "$1" && pwd); }
POOL=$(absolute "$POOL")
mkdir -p "$WORK" && WORK=$(absolute "$WORK")
: "${SEEDS:=1,2,3}"
: "${DESCRIPTION:=openly licensed speech of 73 public repositories, and the scores of the large model}"
cd "$(dirname "$0")/../.."
teacher=$PWD/models/pretrained/detector.onnx
voices=LJSpeech:LJ,LibriSpeech:1320,LibriSpeech:2412,MLS:pl_pl_9098,FLEURS:ca_es,FLEURS:ru_ru

# 1. Stores. The voices of data/examples are left out.
for subset in train dev eval; do
    mkdir -p "$WORK/data/raw/$subset"
    ln -sfn "$POOL" "$WORK/data/raw/$subset/train-pool"
done
python utils/prepare_dataset.py --data_dir "$WORK/data" \
    --where train:split=train --where train:open=1 --where "train:speaker!=$voices" \
    --where dev:split=dev --where eval:split=dev
python utils/preprocess_data.py --data_dir "$WORK/data" --subset all

# 2. A student for each seed. Convolutions and their weights come from the teacher's encoder.
python notebooks/aasist_training.py --architecture shallow --encoder "$teacher" \
    --teacher "$teacher" --augment turns --views 2 --ridge 0.001 \
    --seeds "$SEEDS" --resume --run_name student \
    --data_dir "$WORK/data" --checkpoint_dir "$WORK/checkpoints" --results_dir "$WORK/results"

# 3. The packed model, with the calibration and the band of its rounded weights.
middle=$(python - "$WORK/results/student/seeds.json" <<'PYTHON'
import json, sys
runs = sorted(json.load(open(sys.argv[1]))["runs"], key=lambda run: run["dev_eer"])
print(runs[(len(runs) - 1) // 2]["run"])
PYTHON
)
python utils/pack_detector.py pack --model "$WORK/checkpoints/$middle/best.pt" --box "$WORK/box" \
    --description "$DESCRIPTION"
python utils/calibrate_model.py --model "$WORK/box/student.onnx" --data_dir "$WORK/data"
