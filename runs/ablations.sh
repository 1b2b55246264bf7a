#!/usr/bin/env bash
# What each part of the method is worth: arms of equal small budget, from one start, the main rows with several seeds.
# Stopped, it goes on where it was.
#
#     METHOD=out/method OUT=out/ablations runs/ablations.sh       # SMALL=1: all of it, tiny, within minutes
#
# METHOD is the folder of a run of runs/method.sh, whose shards, pairs, networks and test sets all arms share. Each arm
# is OUT/ARM-SEED, and its results are named after OUT; the tables are OUT/*.md. Arms go through it JOBS at a time, each
# in one thread.
set -euo pipefail
cd "$(dirname "$0")/.."

METHOD=${METHOD:-out/method}
OUT=${OUT:-out/ablations}
SHARDS=${SHARDS:-$METHOD/shards}
START=${START:-harmovid/model/weights/nano}  # has learned from pairs; OUT/start of runs/nano.sh has not
PRESET=${PRESET:-nano}
DEVICE=${DEVICE:-cpu}
JOBS=${JOBS:-1}
STAGED=${STAGED:-1}  # 0 where the shards hold nobody of the light stage
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
RUN=$(basename "$OUT")

if [[ ${SMALL:-} == 1 ]]; then
  SEEDS=${SEEDS:-0} MORE=${MORE:-0} STEPS=${STEPS:-8} ITEMS=${ITEMS:-1} FULL=${FULL:-1} BAD=${BAD:-1}
  WINDOW=${WINDOW:-9}
  LENGTHS='[[1, 8, 0.5, 4096], [9, 2, 0.5, 4096]]'
  QUICK=(--quick)
else
  SEEDS=${SEEDS:-0 1 2}  # of the main rows, with and without refining
  MORE=${MORE:-$SEEDS}   # of the others
  STEPS=${STEPS:-1200} ITEMS=${ITEMS:-12} WINDOW=${WINDOW:-21}
  FULL=${FULL:-$ITEMS}   # items in full pictures
  BAD=${BAD:-72}         # with bad masks
  LENGTHS='[[1, 48, 0.3, 9216], [21, 3, 0.7, 9216]]'
  QUICK=()
fi
BUDGET=(--set "stage.lengths=$LENGTHS" --set loop.steps="$STEPS" --set loop.warmup=8 --set loop.echo=4
        --set loop.pool=64 --set loop.ema=0.99 --set preset.view.window="$WINDOW" --set stage.sources.misfit=0)
UNSTAGED=(--set stage.sources.relit=0)
FROM_START=(--init "$START" --set stage.objective.last=0.9)  # it is asked in one step, where there is noise alone

train() {  # SEED NAME PAIRS OPTION...: one network
  local seed=$1 name=$2 pairs=$3
  shift 3
  "$HARMOVID" train harmonize --preset "$PRESET" --data "$SHARDS" --codec "$START" --tone "$START" \
    --pairs "$METHOD/$pairs" --pairs "$METHOD/$pairs-held" --out "$OUT/$name-$seed" --device "$DEVICE" \
    --seed "$seed" --resume "${BUDGET[@]}" "$@"
}

going=0
arm() {  # SEEDS NAME PAIRS OPTION...: a network for each seed, JOBS at a time
  local seed seeds=$1
  shift
  for seed in $seeds; do
    if (( going == JOBS )); then wait -n; going=$((going - 1)); fi
    set -m
    train "$seed" "$@" &
    set +m
    going=$((going + 1))
  done
}

models() {  # SEEDS NAME...: these arms as methods
  local name seed seeds=$1
  shift
  models=()
  for name in "$@"; do
    for seed in $seeds; do
      models+=(--model "$RUN-$name-$seed=$OUT/$name-$seed/model")
    done
  done
}

run() {  # NAME SET OPTION...: a table
  local name=$1 set=$2
  shift 2
  "$HARMOVID" evaluate run "$METHOD/sets/$set" --device "$DEVICE" "${QUICK[@]}" "$@" > "$OUT/.$name.part"
  mv "$OUT/.$name.part" "$OUT/$name.md"
}

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# Each job is a process group of its own, so that all of it ends with the script: a job that lived on would write into
# the folders of the next run.
trap 'for job in $(jobs -rp); do kill -- "-$job" 2> /dev/null || true; done' EXIT
for there in "$SHARDS" "$METHOD"/{pairs,refined}{,-held} "$METHOD"/{harmoim,deflicker}/model \
  "$METHOD"/sets/{lut,masks}; do
  if [[ ! -d $there ]]; then
    echo "there is no $there, which comes last or beside every arm; run runs/method.sh first" >&2
    exit 2
  fi
done
mkdir -p "$OUT"

# Both stages; the pairs as they were made, the second left out.
arm "$SEEDS" both refined "${FROM_START[@]}" "${UNSTAGED[@]}"
arm "$SEEDS" unrefined pairs "${FROM_START[@]}" "${UNSTAGED[@]}"
# Asymmetric masks; `both` has them.
for masks in binary alpha; do
  arm "$MORE" "$masks" refined "${FROM_START[@]}" "${UNSTAGED[@]}" --set stage.masks="$masks"
done
# A share of the light stage's people; `both` has none.
if [[ $STAGED == 1 ]]; then
  arm "$MORE" staged refined "${FROM_START[@]}" --set stage.sources.relit=0.3
fi
# The objective. Noise cannot be predicted on from a network that predicts v: both begin from nothing, and alike.
for prediction in epsilon v_prediction; do
  arm "$MORE" "$prediction" refined "${UNSTAGED[@]}" --set preset.schedule.prediction="$prediction" \
    --set preset.transformer.residual=false --set stage.objective.colour=0 --set stage.objective.last=0 \
    --set preset.steps=8
done
for (( ; going > 0; going-- )); do wait -n; done

VIEWS=(--items "$ITEMS" --detail network)
harmoim=$METHOD/harmoim/model deflicker=$METHOD/deflicker/model
models "$SEEDS" both unrefined
run stages lut "${VIEWS[@]}" "${models[@]}" --model "$RUN-start=$START" --model "$RUN-harmoim=$harmoim" \
  --model "$RUN-deflickered=$harmoim+$deflicker"
models "$MORE" both binary alpha
run masks lut "${VIEWS[@]}" "${models[@]}"
# Where a mask's kind should tell: under bad masks and on loose hair (see benchmarks/paired.py, --variant and --hair), in
# the networks' own pictures, and in full ones with the edge as it was drawn.
run masks-bad masks --items "$BAD" --detail network "${models[@]}"
run masks-bad-full masks --items "$FULL" "${models[@]}"
run masks-bad-recovered masks --items "$FULL" "${models[@]}" --set recover=true
if [[ $STAGED == 1 ]]; then
  models "$MORE" both staged
  run lightstage lut "${VIEWS[@]}" "${models[@]}"
fi
models "$MORE" epsilon v_prediction
run objective lut "${VIEWS[@]}" "${models[@]}"

# The same weights: full pictures by light transfer, and windows that overlap more and more.
models "$MORE" both
run transfer lut --items "$FULL" "${models[@]}"
run transfer-unsmoothed lut --items "$FULL" "${models[@]}" --set transfer.temporal_sigma=0
for overlap in 0 0.25 0.5 0.75; do
  run "overlap-$overlap" lut "${VIEWS[@]}" "${models[@]}" --set overlap="$overlap"
done
"$HARMOVID" evaluate report "$METHOD/sets/lut" --out "$OUT/report" --overwrite
