#!/usr/bin/env bash
# The model `nano-deflicker`, step 2 of the method: shards of the real clips, and the network that steadies light, which
# begins from the transformer of START, nano or its start (runs/nano.sh), and keeps its codec. Stopped, it goes on where
# it was.
#
#     DATA=footage OUT=out/deflicker runs/deflicker.sh
#
# DATA holds portraits_video/ (docs/manual.md, "data shards"); SHARDS names shards of it that are there already, PAIRS
# pseudo-pairs of these shards (`harmovid data pairs`), to learn from too. A step takes about 0.8 seconds on
# two processor cores that other work shares. The checkpoint is OUT/net/model: `harmovid deflicker … --model
# OUT/net/model`.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/deflicker}
SHARDS=${SHARDS:-}
PAIRS=${PAIRS:-}
PROCESSES=${PROCESSES:-2}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
START=${START:-nano}

DEFLICKER=(  # lengths are [frames, clips at a time, share of the batches, pixels of their views]
  --set 'stage.lengths=[[21, 6, 0.6, 9216], [49, 3, 0.4, 9216]]'
  --set stage.objective.last=0.9
  --set loop.minutes=56
  --set loop.lr=0.001
  --set loop.warmup=40
  --set loop.weight_decay=0.05
  --set loop.ema=0.99
  --set loop.validate_every=500
  --set loop.save_every=100
  --set loop.workers=1
  --set loop.echo=4
)

if [ -z "$SHARDS" ]; then
  SHARDS=$OUT/shards
  "$HARMOVID" data shards "$DATA" --out "$SHARDS" --no-photos --processes "$PROCESSES"
fi
export OMP_NUM_THREADS=1
"$HARMOVID" train deflicker --preset nano --data "$SHARDS" --codec "$START" --init "$START" --out "$OUT/net" --device cpu \
  --resume ${PAIRS:+--pairs "$PAIRS"} "${DEFLICKER[@]}"
