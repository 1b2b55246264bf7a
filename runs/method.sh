#!/usr/bin/env bash
# The method, whole, from clips to tables: shards, a light stage, HarmoIm and its pseudo-pairs (step 1), the deflickering
# network and refined pairs (step 2), both paths (step 3), test sets, every method over them. Stopped, it goes on where
# it was.
#
#     DATA=footage HDRI=hdri OUT=out/method DEVICE=cuda runs/method.sh    # SMALL=1: all of it, tiny, within minutes
#
# DATA holds portraits_video/ and portraits_photo/ (docs/manual.md, "data shards"), HDRI, where given, maps that light
# the stage and the backgrounds. SHARDS may be some that are there; START lends codec, tone and the transformer that
# all three networks begin from. OUT/harmovid/model is the harmonizer, OUT/deflicker/model takes flicker out; the tables
# are OUT/tables/*.md, OUT/report/report.html shows all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/method}
SHARDS=${SHARDS:-$OUT/shards}
HDRI=${HDRI:-}
START=${START:-harmovid/model/weights/nano}  # has learned from pairs; OUT/start of runs/nano.sh has not
PRESET=${PRESET:-nano}
DEVICE=${DEVICE:-cpu}
PROCESSES=${PROCESSES:-2}
SEED=${SEED:-0}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
PYTHON=${PYTHON:-.venv/bin/python}

# What is not said above is the paper's: windows of 85 frames, two paths alone. Lengths are [frames, clips at a time,
# share of the batches, pixels of their views].
FRAMES=85 WINDOW=85
COMMON=(--set loop.workers=1 --set loop.echo=2 --set loop.warmup=40 --set loop.weight_decay=0.05 --set loop.ema=0.99)
if [[ ${SMALL:-} == 1 ]]; then
  TAKES=${TAKES:-0} PAIRS=${PAIRS:-4} HELD=${HELD:-2} FRAMES=17 WINDOW=17
  SOME=(--limit 4 --no-photos)
  COMMON=(--set loop.steps=20 --set loop.warmup=2 --set loop.echo=4)
  HARMOIM=(--set 'stage.lengths=[[1, 8, 1.0, 4096]]')
  DEFLICKER=(--set 'stage.lengths=[[9, 2, 1.0, 4096]]')
  BOTH=(--set 'stage.lengths=[[1, 8, 0.5, 4096], [9, 2, 0.5, 4096]]')
  KEEP=(--set correlation=-1 --set 'amplitude=[-9,9]' --set texture=-1 --set remaining=9)  # after 20 steps none is good
  ITEMS=(--limit 1 --per-clip 2)
  QUICK=(--quick)
else
  TAKES=${TAKES:-300} PAIRS=${PAIRS:-400} HELD=${HELD:-20}
  HARMOIM=(--set loop.minutes="${HARMOIM_MINUTES:-40}" --set 'stage.lengths=[[1, 48, 1.0, 9216]]')
  DEFLICKER=(--set loop.minutes="${DEFLICKER_MINUTES:-60}"
             --set 'stage.lengths=[[21, 6, 0.6, 9216], [49, 3, 0.3, 9216], [85, 2, 0.1, 9216]]')
  BOTH=(--set loop.minutes="${BOTH_MINUTES:-60}"
        --set 'stage.lengths=[[1, 48, 0.3, 9216], [21, 3, 0.5, 9216], [85, 1, 0.2, 9216]]')
  SOME=() KEEP=() ITEMS=() QUICK=()
fi
DEFLICKER+=(--set stage.objective.last=0.9)  # both are asked in one step, where there is noise alone
BOTH+=(--set stage.objective.last=0.9 --set stage.sources.misfit="${MISFIT:-0}" --set stage.sources.relit="${RELIT:-0}")
MAPS=(${HDRI:+--hdri "$HDRI"})

train() {  # STAGE NAME OPTION...
  local stage=$1 name=$2
  shift 2
  "$HARMOVID" train "$stage" --preset "$PRESET" --data "$SHARDS" --codec "$START" --init "$START" --out "$OUT/$name" \
    --device "$DEVICE" --seed "$SEED" --resume "${COMMON[@]}" "$@"
}

run() {  # NAME SET OPTION...: a table
  local name=$1 set=$2
  shift 2
  "$HARMOVID" evaluate run "$OUT/sets/$set" --device "$DEVICE" "${QUICK[@]}" "$@" > "$OUT/tables/.$name.part"
  mv "$OUT/tables/.$name.part" "$OUT/tables/$name.md"
}

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$OUT/tables"
"$PYTHON" benchmarks/fetch_lpips.py
if [[ -z ${LUTS:-} ]]; then
  LUTS=.cache/luts/cube
  "$PYTHON" benchmarks/fetch_luts.py --out "$LUTS"  # what is there is not fetched again
fi
"$HARMOVID" data shards "$DATA" --out "$SHARDS" --processes "$PROCESSES" "${SOME[@]}"
if [[ $TAKES != 0 ]]; then
  "$HARMOVID" data lightstage --count "$TAKES" --out "$OUT/stage" --processes "$PROCESSES" "${MAPS[@]}"
  "$HARMOVID" data shards "$OUT/stage" --out "$SHARDS" --processes "$PROCESSES"
fi

# Step 1.
train harmoim harmoim --tone "$START" "${HARMOIM[@]}"
pairs() {  # FOLDER SPLIT COUNT
  "$HARMOVID" data pairs "$SHARDS" --out "$OUT/$1" --model "$OUT/harmoim/model" --split "$2" --count "$3" \
    --frames "$FRAMES" --device "$DEVICE" --seed "$SEED" "${MAPS[@]}"
}
pairs pairs train "$PAIRS"
pairs pairs-held validation "$HELD"

# Step 2.
train deflicker deflicker --pairs "$OUT/pairs" "${DEFLICKER[@]}"
for made in pairs pairs-held; do
  "$HARMOVID" data refine "$OUT/$made" --out "$OUT/refined${made#pairs}" --footage "$SHARDS" \
    --model "$OUT/deflicker/model" --device "$DEVICE" --seed "$SEED" "${KEEP[@]}"
done

# Step 3.
train harmonize harmovid --tone "$START" --pairs "$OUT/refined" --pairs "$OUT/refined-held" \
  --set preset.view.window="$WINDOW" "${BOTH[@]}"

for set in lut jitter masks; do
  "$HARMOVID" evaluate testset "$set" "$DATA" --out "$OUT/sets/$set" --luts "$LUTS" "${ITEMS[@]}"
done
harmoim=$OUT/harmoim/model deflicker=$OUT/deflicker/model
run harmonizing lut --detail network --model background --model reinhard --model classical --model "start=$START" \
  --model "harmoim=$harmoim" --model "harmoim+bvd=$harmoim+bvd" --model "harmoim+deflicker=$harmoim+$deflicker" \
  --model "harmovid=$OUT/harmovid/model"
run harmonizing-full lut --model classical --model "harmovid=$OUT/harmovid/model"
run deflickering jitter --detail network --model gaussian --model bvd --model codec --model "deflicker=$deflicker"
"$HARMOVID" evaluate report "$OUT/sets/lut" "$OUT/sets/jitter" --out "$OUT/report" --overwrite
