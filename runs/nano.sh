#!/usr/bin/env bash
# The model `nano`, whole: shards of the real footage, the codec, the harmonizer. Stopped, it goes on where it was.
#
#     DATA=footage OUT=out/nano DEVICE=cuda runs/nano.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"). On one H100 the training takes
# a quarter of an hour. The checkpoint is OUT/harmonize/model: `harmovid harmonize … --model OUT/harmonize/model`.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/nano}
DEVICE=${DEVICE:-cuda}
PROCESSES=${PROCESSES:-2}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}

# Lengths are [frames, clips at a time, share of the batches].
CODEC=(
  --set 'stage.lengths=[[1, 256, 0.25], [17, 48, 0.6], [49, 16, 0.15]]'
  --set loop.minutes=6.3
  --set loop.lr=0.001
  --set loop.warmup=200
  --set loop.ema=0.999
)
HARMONIZE=(
  --set 'stage.lengths=[[1, 256, 0.4], [21, 40, 0.45], [49, 14, 0.15]]'
  --set stage.recast=0.35
  --set stage.placed=0.4
  --set loop.minutes=7.1
  --set loop.lr=0.001
  --set loop.warmup=200
  --set loop.weight_decay=0.1
  --set loop.ema=0.998
)

"$HARMOVID" data shards "$DATA" --out "$OUT/shards" --processes "$PROCESSES"
"$HARMOVID" train codec --preset nano --data "$OUT/shards" --out "$OUT/codec" --device "$DEVICE" --resume "${CODEC[@]}"
"$HARMOVID" train harmonize --preset nano --data "$OUT/shards" --codec "$OUT/codec/model" --out "$OUT/harmonize" \
  --device "$DEVICE" --resume "${HARMONIZE[@]}"
