#!/usr/bin/env bash
# These steps made the pretrained model: stores, one training run, and the packed model in $WORK/box.
# They take about ten CPU minutes. You bring these files:
#   POOL        clips of published synthesis systems and real speech, with a trials.tsv (columns
#               utterance, speaker, key, attack, source, open, split). Its sources are of three kinds:
#               split train, open 1: trained on; split train, open 0: calibration and band;
#               split dev: only measured
#   BASELINE    the ASVspoof 5 baseline's weights (.pth)
#   ENCODER     the first two blocks of Whisper base (.onnx)
#   WORK        where all of it is made
# Optional:
#   DESCRIPTION what every verdict says of the training data
set -euo pipefail
: "${POOL:?}" "${BASELINE:?}" "${ENCODER:?}" "${WORK:?}"
absolute() { (cd "$1" && pwd); }
POOL=$(absolute "$POOL")
mkdir -p "$WORK" && WORK=$(absolute "$WORK")
BASELINE=$(absolute "$(dirname "$BASELINE")")/$(basename "$BASELINE")
ENCODER=$(absolute "$(dirname "$ENCODER")")/$(basename "$ENCODER")
: "${DESCRIPTION:=openly licensed speech of 73 public repositories}"
cd "$(dirname "$0")/../.."

# 1. Stores. The voices of data/examples are left out.
for subset in train dev eval; do
    mkdir -p "$WORK/data/raw/$subset"
    ln -sfn "$POOL" "$WORK/data/raw/$subset/train-pool"
done
voices=LJSpeech:LJ,LibriSpeech:1320,LibriSpeech:2412,MLS:pl_pl_9098,FLEURS:ca_es,FLEURS:ru_ru
python utils/prepare_dataset.py --data_dir "$WORK/data" \
    --where train:split=train --where train:open=1 --where "train:speaker!=$voices" \
    --where dev:split=train --where dev:open=0 --where "dev:speaker!=$voices" \
    --where eval:split=dev
python utils/preprocess_data.py --data_dir "$WORK/data" --subset all

# 2. One run, with seed 1. Its evaluation is of the dev sources.
python utils/import_weights.py --weights "$BASELINE" --architecture aasist \
    --output "$WORK/asvspoof5-baseline.pt"
python notebooks/aasist_training.py --architecture hybrid --init_from "$WORK/asvspoof5-baseline.pt" \
    --encoder "$ENCODER" --ridge 0.0015 --level_penalty 10 --channel_penalty 0.3 --seed 1 \
    --test --resume --run_name hybrid \
    --data_dir "$WORK/data" --checkpoint_dir "$WORK/checkpoints" --results_dir "$WORK/results"

# 3. The packed model: detector.onnx and detector.pt.
python utils/pack_detector.py pack --model "$WORK/checkpoints/hybrid/best.pt" \
    --box "$WORK/box" --description "$DESCRIPTION"
