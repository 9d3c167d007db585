#!/usr/bin/env bash
# These steps made the pretrained model: copies, stores, one training run, and the packed model in
# $WORK/box. They take about twenty CPU minutes. You bring these files:
#   POOL        clips of published synthesis systems and real speech, with a trials.tsv (columns
#               utterance, speaker, key, attack, source, open, split) and UTTERANCE.flac. Its sources
#               are of three kinds:
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
: "${DESCRIPTION:=openly licensed speech of 73 public repositories and copies by HiFi-GAN}"
cd "$(dirname "$0")/../.."
voices=LJSpeech:LJ,LibriSpeech:1320,LibriSpeech:2412,MLS:pl_pl_9098,FLEURS:ca_es,FLEURS:ru_ru

# 1. Copies of real training recordings by two vocoders: a small part, or new sources suffer.
awk -F '\t' -v voices=",$voices," '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] == "train" && $at["open"] == 1 && $at["key"] == "bonafide" &&
        !index(voices, "," $at["speaker"] ",") { print $at["source"] "\t" $at["utterance"] }
' "$POOL/trials.tsv" | while IFS=$'\t' read -r source utterance; do
    mkdir -p "$WORK/originals/${source//\//__}"
    ln -sfn "$POOL/$utterance.flac" "$WORK/originals/${source//\//__}/"
done
python utils/make_vocoded.py --input "$WORK/originals" --output "$WORK/copies" --limit 48 \
    --vocoder hifigan

# 2. Stores. The voices of data/examples are left out.
for subset in train dev eval; do
    mkdir -p "$WORK/data/raw/$subset"
    ln -sfn "$POOL" "$WORK/data/raw/$subset/train-pool"
done
ln -sfn "$WORK/copies" "$WORK/data/raw/train/copies"
python utils/prepare_dataset.py --data_dir "$WORK/data" \
    --where train:split=train --where train:open=1 --where "train:speaker!=$voices" \
    --where dev:split=train --where dev:open=0 --where "dev:speaker!=$voices" \
    --where eval:split=dev
python utils/preprocess_data.py --data_dir "$WORK/data" --subset all

# 3. One run, with seed 1. Its evaluation is of the dev sources.
python utils/import_weights.py --weights "$BASELINE" --architecture aasist \
    --output "$WORK/asvspoof5-baseline.pt"
python notebooks/aasist_training.py --architecture hybrid --init_from "$WORK/asvspoof5-baseline.pt" \
    --encoder "$ENCODER" --ridge 0.0015 --level_penalty 3 --channel_penalty 0.3 --seed 1 \
    --test --resume --run_name hybrid \
    --data_dir "$WORK/data" --checkpoint_dir "$WORK/checkpoints" --results_dir "$WORK/results"

# 4. The packed model: detector.onnx and detector.pt.
python utils/pack_detector.py pack --model "$WORK/checkpoints/hybrid/best.pt" \
    --box "$WORK/box" --description "$DESCRIPTION"
