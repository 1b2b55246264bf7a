#!/usr/bin/env bash
# What each part of the method is worth: arms of equal small budget, from one start, each with several seeds. Stopped, it
# goes on where it was.
#
#     METHOD=out/method OUT=out/ablations runs/ablations.sh       # SMALL=1: all of it, tiny, within minutes
#
# METHOD is the folder of a run of runs/method.sh, whose shards, pairs, networks and test sets all arms share. Each arm
# is OUT/ARM-SEED; the tables are OUT/*.md.
set -euo pipefail
cd "$(dirname "$0")/.."

METHOD=${METHOD:-out/method}
OUT=${OUT:-out/ablations}
SHARDS=${SHARDS:-$METHOD/shards}
START=${START:-harmovid/model/weights/nano}  # has learned from pairs; OUT/start of runs/nano.sh has not
PRESET=${PRESET:-nano}
DEVICE=${DEVICE:-cpu}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}

if [[ ${SMALL:-} == 1 ]]; then
  SEEDS=${SEEDS:-0} STEPS=${STEPS:-8} ITEMS=${ITEMS:-1} WINDOW=${WINDOW:-9}
  LENGTHS='[[1, 8, 0.5, 4096], [9, 2, 0.5, 4096]]'
  QUICK=(--quick)
else
  SEEDS=${SEEDS:-0 1 2} STEPS=${STEPS:-1200} ITEMS=${ITEMS:-12} WINDOW=${WINDOW:-21}
  LENGTHS='[[1, 48, 0.3, 9216], [21, 3, 0.7, 9216]]'
  QUICK=()
fi
BUDGET=(--set "stage.lengths=$LENGTHS" --set loop.steps="$STEPS" --set loop.warmup=8 --set loop.echo=4
        --set loop.pool=64 --set loop.ema=0.99 --set preset.view.window="$WINDOW" --set stage.sources.misfit=0)
UNSTAGED=(--set stage.sources.relit=0)
FROM_START=(--init "$START" --set stage.objective.last=0.9)  # it is asked in one step, where there is noise alone

arm() {  # NAME PAIRS OPTION...: one network for each seed
  local name=$1 pairs=$2 seed
  shift 2
  for seed in $SEEDS; do
    "$HARMOVID" train harmonize --preset "$PRESET" --data "$SHARDS" --codec "$START" --tone "$START" \
      --pairs "$METHOD/$pairs" --pairs "$METHOD/$pairs-held" --out "$OUT/$name-$seed" --device "$DEVICE" \
      --seed "$seed" --resume "${BUDGET[@]}" "$@"
  done
}

arms() {  # NAME...: these arms as methods
  local name seed
  models=()
  for name in "$@"; do
    for seed in $SEEDS; do
      models+=(--model "$name-$seed=$OUT/$name-$seed/model")
    done
  done
}

run() {  # NAME OPTION...: a table
  local name=$1
  shift
  "$HARMOVID" evaluate run "$METHOD/sets/lut" --items "$ITEMS" --device "$DEVICE" "${QUICK[@]}" "$@" > "$OUT/.$name.part"
  mv "$OUT/.$name.part" "$OUT/$name.md"
}

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$OUT"
harmoim=$METHOD/harmoim/model deflicker=$METHOD/deflicker/model

# Both stages, the first left out, the second left out.
arm both refined "${FROM_START[@]}" "${UNSTAGED[@]}"
arm unrefined pairs "${FROM_START[@]}" "${UNSTAGED[@]}"
arms both unrefined
run stages --detail network "${models[@]}" --model "harmoim=$harmoim" --model "deflickered=$harmoim+$deflicker"

# Asymmetric masks; `both` has them.
for masks in binary alpha; do
  arm "$masks" refined "${FROM_START[@]}" "${UNSTAGED[@]}" --set stage.masks="$masks"
done
arms both binary alpha
run masks --detail network "${models[@]}"

# A share of the light stage's people; `both` has none.
arm staged refined "${FROM_START[@]}" --set stage.sources.relit=0.3
arms both staged
run lightstage --detail network "${models[@]}"

# The objective. Noise cannot be predicted on from a network that predicts v: both begin from nothing, and alike.
for prediction in epsilon v_prediction; do
  arm "$prediction" refined "${UNSTAGED[@]}" --set preset.schedule.prediction="$prediction" \
    --set preset.transformer.residual=false --set stage.objective.colour=0 --set stage.objective.last=0 \
    --set preset.steps=8
done
arms epsilon v_prediction
run objective --detail network "${models[@]}"

# The same weights: full pictures by light transfer, and windows that overlap more and more.
arms both
run transfer "${models[@]}"
run transfer-unsmoothed "${models[@]}" --set transfer.temporal_sigma=0
for overlap in 0 0.25 0.5 0.75; do
  run "overlap-$overlap" --detail network "${models[@]}" --set overlap="$overlap"
done
"$HARMOVID" evaluate report "$METHOD/sets/lut" --out "$OUT/report" --overwrite
