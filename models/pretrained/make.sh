#!/usr/bin/env bash
# The steps that made the model in the box: copies of real speech, stores, three training runs, a box in $WORK. About three CPU hours.
#
# What it needs lies in the folders named below, which you have to bring:
#   POOL       clips of published synthesis systems and real speech, with a trials.tsv (utterance, key, attack, source, open)
#   SPEECH     real recordings to copy (the box: 400 of Picovoice's benchmark recordings, Apache-2.0)
#   VOCODERS   weights of vocoders, see utils/synthesis/vocoders/README.md (without them: WORLD, Griffin-Lim and HiFi-GAN alone);
#              SoundStream among them needs ai-edge-litert, which requirements.txt brings on Linux (x86-64) alone
#   EVALUATION clips that nothing is trained on, with a trials.tsv; a column category tells tts, vc and vocoder apart
#   BASELINE   the ASVspoof 5 baseline's weights (.pth); ENCODER: the first two blocks of Whisper base (.onnx)
#   DEFAULT    a data folder that holds the default corpus (without it: it is built in WORK, on Linux with apt)
#   WORK       where all of it is made
set -euo pipefail
: "${POOL:?}" "${SPEECH:?}" "${EVALUATION:?}" "${BASELINE:?}" "${ENCODER:?}" "${WORK:?}"
absolute() { (cd "$1" && pwd); }
POOL=$(absolute "$POOL") SPEECH=$(absolute "$SPEECH") EVALUATION=$(absolute "$EVALUATION")
mkdir -p "$WORK" && WORK=$(absolute "$WORK")
BASELINE=$(absolute "$(dirname "$BASELINE")")/$(basename "$BASELINE") ENCODER=$(absolute "$(dirname "$ENCODER")")/$(basename "$ENCODER")
[ -z "${VOCODERS:-}" ] || VOCODERS=$(absolute "$VOCODERS")
if [ -z "${DEFAULT:-}" ]; then built="$WORK/default"; else built=$(absolute "$DEFAULT"); fi
if [ -n "${DEFAULT:-}" ] && [ ! -f "$built/raw/default_corpus/ASVspoof5.train.tsv" ]; then
    echo "DEFAULT ($built) holds no raw/default_corpus: leave it out, and the corpus is built" >&2; exit 1
fi
: "${DESCRIPTION:=speech of $POOL, the default corpus, and copies of real recordings by vocoders}"    # what every verdict says of the training data
cd "$(dirname "$0")/../.."
weights=()
if [ -n "${VOCODERS:-}" ]; then
    weights=("$VOCODERS"/hifigan_v3_ljspeech.npz "$VOCODERS"/lyra_v1_wavegru.npz "$VOCODERS"/lyra_soundstream_1.3)
fi
copies="$WORK/copies"
vocoded() { python utils/make_vocoded.py --input "$SPEECH" --output "$copies" --limit 400 --seed 1 "$@"; }

# 1. Copies: cheap vocoders copy every recording, expensive ones some.
if [ ${#weights[@]} -gt 0 ]; then vocoded --weights "${weights[@]}"; else vocoded --vocoder world griffin-lim; fi
vocoded --copies 100 --vocoder hifigan
if [ -n "${VOCODERS:-}" ]; then
    vocoded --copies 64 --vocoder wavernn pwg --weights "$VOCODERS"/wavernn_10bit_sparse.npz "$VOCODERS"/pwg_v1_ljspeech.npz
    vocoded --copies 110 --vocoder nsf --weights "$VOCODERS"/nsf_hn_sinc_9.npz "$VOCODERS"/nsf_hn_sinc_10.npz "$VOCODERS"/nsf_cyc_noise_4.npz
fi

# 2. The training part of the default corpus, as a folder with a list of its own.
if [ -z "${DEFAULT:-}" ]; then python utils/prepare_dataset.py --data_dir "$built"; fi
part="$WORK/data/raw/train/default-corpus"
rm -rf "$part" && mkdir -p "$part" && cp -r "$built/raw/default_corpus/flac_T" "$part"
{
    printf 'utterance\tspeaker\tkey\tattack\n'
    awk -v OFS='\t' '{ print "flac_T/" $2 ".flac", $1, $9, $8 == "bonafide" ? "-" : $8 }' "$built/raw/default_corpus/ASVspoof5.train.tsv"
} > "$part/trials.tsv"

# 3. Stores: trained on what is openly licensed, calibrated on the other sources of the pool.
mkdir -p "$WORK"/data/raw/train "$WORK"/data/raw/dev "$WORK"/data/raw/eval
ln -sfn "$POOL" "$WORK"/data/raw/train/train-pool
ln -sfn "$copies" "$WORK"/data/raw/train/copies
ln -sfn "$POOL" "$WORK"/data/raw/dev/train-pool
ln -sfn "$EVALUATION" "$WORK"/data/raw/eval/evaluation
python utils/prepare_dataset.py --data_dir "$WORK/data" --where train:open=1 --where dev:open=0
python utils/preprocess_data.py --data_dir "$WORK/data" --subset all

# 4. Three runs; the first is shipped, whatever their figures.
python utils/import_weights.py --weights "$BASELINE" --architecture aasist --output "$WORK/asvspoof5-baseline.pt"
python notebooks/aasist_training.py --architecture hybrid --init_from "$WORK/asvspoof5-baseline.pt" --encoder "$ENCODER" --ridge 0.0015 --seeds 1,2,3 --test --resume \
    --run_name hybrid --data_dir "$WORK/data" --checkpoint_dir "$WORK/checkpoints" --results_dir "$WORK/results"

# 5. The box.
python utils/pack_detector.py pack --model "$WORK/checkpoints/hybrid-seed1/best.pt" --box "$WORK/box" --description "$DESCRIPTION"
