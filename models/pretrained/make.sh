#!/usr/bin/env bash
# These steps made the pretrained model: copies of real speech, stores, three training runs, and the
# packed model in $WORK/box. They take about three CPU hours. You bring these folders and files:
#   POOL        clips of published synthesis systems and real speech, with a trials.tsv
#               (columns utterance, key, attack, source, open)
#   SPEECH      real recordings to copy (the pretrained model: 400 of Picovoice's benchmarks, Apache-2.0)
#   EVALUATION  clips that nothing is trained on, with a trials.tsv; its column category is tts, vc
#               or vocoder
#   BASELINE    the ASVspoof 5 baseline's weights (.pth)
#   ENCODER     the first two blocks of Whisper base (.onnx)
#   WORK        where all of it is made
# Optional:
#   VOCODERS    weights of vocoders, see utils/synthesis/vocoders/README.md. Without them only WORLD,
#               Griffin-Lim and HiFi-GAN copy. SoundStream needs ai-edge-litert, which
#               requirements.txt installs on Linux (x86-64) only
#   DEFAULT     a data folder with the default corpus. Without it, it is built in WORK (Linux with apt)
#   DESCRIPTION what every verdict says of the training data
set -euo pipefail
: "${POOL:?}" "${SPEECH:?}" "${EVALUATION:?}" "${BASELINE:?}" "${ENCODER:?}" "${WORK:?}"
absolute() { (cd "$1" && pwd); }
POOL=$(absolute "$POOL")
SPEECH=$(absolute "$SPEECH")
EVALUATION=$(absolute "$EVALUATION")
mkdir -p "$WORK" && WORK=$(absolute "$WORK")
BASELINE=$(absolute "$(dirname "$BASELINE")")/$(basename "$BASELINE")
ENCODER=$(absolute "$(dirname "$ENCODER")")/$(basename "$ENCODER")
[ -z "${VOCODERS:-}" ] || VOCODERS=$(absolute "$VOCODERS")
if [ -z "${DEFAULT:-}" ]; then built="$WORK/default"; else built=$(absolute "$DEFAULT"); fi
if [ -n "${DEFAULT:-}" ] && [ ! -f "$built/raw/default_corpus/ASVspoof5.train.tsv" ]; then
    echo "DEFAULT ($built) holds no raw/default_corpus: leave it out, and the corpus is built" >&2
    exit 1
fi
: "${DESCRIPTION:=speech of $POOL, the default corpus, and copies of real recordings by vocoders}"
cd "$(dirname "$0")/../.."
weights=()
if [ -n "${VOCODERS:-}" ]; then
    weights=("$VOCODERS"/hifigan_v3_ljspeech.npz "$VOCODERS"/lyra_v1_wavegru.npz
             "$VOCODERS"/lyra_soundstream_1.3)
fi
copies="$WORK/copies"
vocoded() {
    python utils/make_vocoded.py --input "$SPEECH" --output "$copies" --limit 400 --seed 1 "$@"
}

# 1. Copies: cheap vocoders copy every recording, expensive ones copy some.
if [ ${#weights[@]} -gt 0 ]; then
    vocoded --weights "${weights[@]}"
else
    vocoded --vocoder world griffin-lim
fi
vocoded --copies 100 --vocoder hifigan
if [ -n "${VOCODERS:-}" ]; then
    vocoded --copies 64 --vocoder wavernn pwg \
        --weights "$VOCODERS"/wavernn_10bit_sparse.npz "$VOCODERS"/pwg_v1_ljspeech.npz
    vocoded --copies 110 --vocoder nsf --weights "$VOCODERS"/nsf_hn_sinc_9.npz \
        "$VOCODERS"/nsf_hn_sinc_10.npz "$VOCODERS"/nsf_cyc_noise_4.npz
fi

# 2. The training part of the default corpus, as a folder with a list of its own.
if [ -z "${DEFAULT:-}" ]; then python utils/prepare_dataset.py --data_dir "$built"; fi
part="$WORK/data/raw/train/default-corpus"
rm -rf "$part" && mkdir -p "$part" && cp -r "$built/raw/default_corpus/flac_T" "$part"
{
    printf 'utterance\tspeaker\tkey\tattack\n'
    awk -v OFS='\t' '{ print "flac_T/" $2 ".flac", $1, $9, $8 == "bonafide" ? "-" : $8 }' \
        "$built/raw/default_corpus/ASVspoof5.train.tsv"
} > "$part/trials.tsv"

# 3. Stores: openly licensed sources for training, the other sources of the pool for calibration.
mkdir -p "$WORK"/data/raw/train "$WORK"/data/raw/dev "$WORK"/data/raw/eval
ln -sfn "$POOL" "$WORK"/data/raw/train/train-pool
ln -sfn "$copies" "$WORK"/data/raw/train/copies
ln -sfn "$POOL" "$WORK"/data/raw/dev/train-pool
ln -sfn "$EVALUATION" "$WORK"/data/raw/eval/evaluation
python utils/prepare_dataset.py --data_dir "$WORK/data" --where train:open=1 --where dev:open=0
python utils/preprocess_data.py --data_dir "$WORK/data" --subset all

# 4. Three runs. The first one is shipped, whatever their figures are.
python utils/import_weights.py --weights "$BASELINE" --architecture aasist \
    --output "$WORK/asvspoof5-baseline.pt"
python notebooks/aasist_training.py --architecture hybrid --init_from "$WORK/asvspoof5-baseline.pt" \
    --encoder "$ENCODER" --ridge 0.0015 --seeds 1,2,3 --test --resume --run_name hybrid \
    --data_dir "$WORK/data" --checkpoint_dir "$WORK/checkpoints" --results_dir "$WORK/results"

# 5. The packed model: detector.onnx and detector.pt.
python utils/pack_detector.py pack --model "$WORK/checkpoints/hybrid-seed1/best.pt" \
    --box "$WORK/box" --description "$DESCRIPTION"
