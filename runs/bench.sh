#!/usr/bin/env bash
# The whole bench: six test sets, every method over them, the tables and the report. Stopped, it goes on where it was.
#
#     DATA=footage OUT=out/bench runs/bench.sh            # BVD=12: BVD, over so many items of each set
#
# DATA holds portraits_video/ and objects_video/ (docs/manual.md, "evaluate testset"). OUT/tables/SET.md are what
# docs/results.md is made of, OUT/tables/seconds.txt tells what each took, OUT/report/report.html shows all of it.
# Sets go through it JOBS at a time, each in one thread.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/bench}
DEVICE=${DEVICE:-cpu}
BVD=${BVD:-12}  # items of each set; 0 for none
FULL=${FULL:-12}  # items of each set in full pictures, by light transfer; 0 for none
JOBS=${JOBS:-2}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
PYTHON=${PYTHON:-.venv/bin/python}

SETS=(lut masks jitter step passing things)  # the longest first
COLOUR=(--model background --model classical --model nano)  # on the LUT set the other classical methods too
STEADY=(--model background --model classical --model gaussian --model nano --model nano-deflicker)

run() {  # NAME SET OPTION...: a table
  local name=$1 set=$2 began=$SECONDS
  shift 2
  "$HARMOVID" evaluate run "$OUT/$set" --device "$DEVICE" "$@" > "$OUT/tables/.$name.part"
  mv "$OUT/tables/.$name.part" "$OUT/tables/$name.md"
  echo "$name $((SECONDS - began)) s" >> "$OUT/tables/seconds.txt"
}

testset() {  # SET
  local tables=(--luts "$LUTS")
  [[ $1 == step || $1 == passing ]] && tables=()
  if [[ $1 != things ]]; then  # all the others are of the same clips: each is filled once
    mkdir -p "$OUT/$1"
    ln -sfn ../clips "$OUT/$1/clips"
  fi
  "$HARMOVID" evaluate testset "$1" "$DATA" --out "$OUT/$1" "${tables[@]}"
}

views() {  # SET: all of it, as the networks see it
  local methods=("${COLOUR[@]}")
  [[ $1 == lut ]] && methods+=(--model reinhard --model histogram)
  [[ $1 == jitter || $1 == step || $1 == passing ]] && methods=("${STEADY[@]}")
  [[ $1 == jitter || $1 == passing ]] && methods+=(--model codec)  # it steadies by itself
  run "$1" "$1" --detail network "${methods[@]}"
}

more() {  # SET: some items of it, by BVD and in full pictures
  if [[ $BVD != 0 ]]; then
    run "$1-bvd" "$1" --detail network --items "$BVD" --model bvd --model nano
  fi
  if [[ $FULL != 0 ]]; then
    run "$1-full" "$1" --items "$FULL" --model classical --model nano
    run "$1-full-unsmoothed" "$1" --items "$FULL" --model nano --set transfer.temporal_sigma=0
  fi
}

each() {  # STEP: of every set, JOBS at a time
  local set going=0 began=$SECONDS
  for set in "${SETS[@]}"; do
    if (( going == JOBS )); then wait -n; going=$((going - 1)); fi
    set -m
    "$1" "$set" &
    set +m
    going=$((going + 1))
  done
  for (( ; going > 0; going-- )); do wait -n; done
  echo "$1 of all sets $((SECONDS - began)) s" >> "$OUT/tables/seconds.txt"
}

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# Each job is a process group of its own, so that all of it ends with the script: a job that lived on would write into
# the folders of the next run.
trap 'for job in $(jobs -rp); do kill -- "-$job" 2> /dev/null || true; done' EXIT
"$PYTHON" benchmarks/fetch_lpips.py
if [[ -z ${LUTS:-} ]]; then
  LUTS=.cache/luts/cube
  "$PYTHON" benchmarks/fetch_luts.py --out "$LUTS"  # what is there is not fetched again
fi
mkdir -p "$OUT/tables" "$OUT/clips"
each testset
each views
each more
"$HARMOVID" evaluate report "${SETS[@]/#/$OUT/}" --out "$OUT/report" --overwrite
