#!/usr/bin/env bash
# The model `nano`, whole: shards of the real footage, the codec, the harmonizer. Stopped, it goes on where it was.
#
#     DATA=footage OUT=out/nano DEVICE=cuda runs/nano.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"). The codec takes six minutes on one
# H100; the harmonizer 75 minutes on two processor cores. The checkpoint is OUT/harmonize/model:
# `harmovid harmonize … --model OUT/harmonize/model`.
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
HARMONIZE=(  # lengths have a fourth number: pixels of their views. One process makes batches while the other trains.
  --set 'stage.lengths=[[1, 48, 0.82, 9216], [9, 8, 0.1, 9216], [21, 3, 0.08, 9216]]'
  --set stage.recast=0.3
  --set stage.placed=0.35
  --set stage.degrade.shaded=0.4
  --set stage.objective.last=0.9
  --set loop.minutes=75
  --set loop.lr=0.001
  --set loop.warmup=40
  --set loop.weight_decay=0.05
  --set loop.ema=0.99
  --set loop.workers=1
  --set loop.echo=2
)

"$HARMOVID" data shards "$DATA" --out "$OUT/shards" --processes "$PROCESSES"
"$HARMOVID" train codec --preset nano --data "$OUT/shards" --out "$OUT/codec" --device "$DEVICE" --resume "${CODEC[@]}"
OMP_NUM_THREADS=1 "$HARMOVID" train harmonize --preset nano --data "$OUT/shards" --codec "$OUT/codec/model" \
  --out "$OUT/harmonize" --device cpu --resume "${HARMONIZE[@]}"
