#!/usr/bin/env bash
# The model `nano-harmoim`, step 1 of the method: people of the light stage, shards of them and of the real footage, a
# tone and the harmonizer of single frames, which begins from the transformer of START and keeps its codec. Stopped, it
# goes on where it was.
#
#     DATA=footage HDRI=hdri OUT=out/harmoim runs/harmoim.sh
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"), HDRI maps that light the stage, START
# a checkpoint of nano: the weights that ship began from what runs/nano.sh calls OUT/start, not from nano as it ships.
# On two processor cores people take half an hour, shards ten minutes, tone ten and network 46. The checkpoint is
# OUT/net/model: `harmovid harmonize … --model OUT/net/model`. PRESET=small DEVICE=cuda, and START a checkpoint of that
# preset, trains the larger one on a GPU.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
HDRI=${HDRI:-hdri}
OUT=${OUT:-out/harmoim}
START=${START:-nano}
PROCESSES=${PROCESSES:-2}
PRESET=${PRESET:-nano}
DEVICE=${DEVICE:-cpu}
# [frames, pictures at a time, share of the batches, pixels of their views]
LENGTHS=${LENGTHS:-$([[ $PRESET == nano ]] && echo '[[1, 48, 1.0, 9216]]' || echo '[[1, 32, 1.0, 65536]]')}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}

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
HARMOIM=(
  --set "stage.lengths=$LENGTHS"
  --set stage.sources.misfit=0.4
  --set stage.sources.relit=0.6
  --set stage.objective.last=0.3
  --set loop.minutes=46
  --set loop.lr=0.001
  --set loop.warmup=40
  --set loop.weight_decay=0.05
  --set loop.ema=0.99
  --set loop.validate_every=800
  --set loop.save_every=200
  --set loop.workers=1
  --set loop.echo=3
  --set loop.pool=64
)

if [[ $PRESET != nano && $START == nano ]]; then
  echo "START is a checkpoint of the preset $PRESET, whose codec and transformer it gives; nano is of another size" >&2
  exit 2
fi
export OMP_NUM_THREADS=1
"$HARMOVID" data lightstage --count 420 --frames 1 --hdri "$HDRI" --out "$OUT/stage" --processes "$PROCESSES"
"$HARMOVID" data shards "$OUT/stage" --out "$OUT/shards" --lights 10 --processes "$PROCESSES"
"$HARMOVID" data shards "$DATA" --out "$OUT/shards" --split train --split validation --processes "$PROCESSES"
"$HARMOVID" train tone --preset "$PRESET" --data "$OUT/shards" --out "$OUT/tone" --device "$DEVICE" --resume \
  "${SOURCES[@]}" "${TONE[@]}"
"$HARMOVID" train harmoim --preset "$PRESET" --data "$OUT/shards" --codec "$START" --tone "$OUT/tone/model" \
  --init "$START" --out "$OUT/net" --device "$DEVICE" --resume "${HARMOIM[@]}"
