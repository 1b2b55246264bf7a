#!/usr/bin/env bash
# The whole bench: six test sets, every method over them, the tables and the report. Stopped, it goes on where it was.
#
#     DATA=footage OUT=out/bench runs/bench.sh            # BVD=12: BVD, over so many items of each set
#
# DATA holds portraits_video/ and objects_video/ (docs/manual.md, "evaluate testset"). OUT/tables/SET.md are what
# docs/results.md is made of, OUT/tables/seconds.txt tells what each took, OUT/report/report.html shows all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/bench}
LUTS=${LUTS:-.cache/luts/cube}
DEVICE=${DEVICE:-cpu}
BVD=${BVD:-12}  # items of each set; 0 for none
FULL=${FULL:-12}  # items of each set in full pictures, by light transfer; 0 for none
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
PYTHON=${PYTHON:-.venv/bin/python}

SETS=(lut jitter step passing masks things)
COLOUR=(--model background --model reinhard --model histogram --model classical --model nano)
STEADY=(--model background --model classical --model gaussian --model codec --model nano --model nano-deflicker)

run() {  # NAME SET OPTION...: a table
  local name=$1 set=$2 began=$SECONDS
  shift 2
  "$HARMOVID" evaluate run "$OUT/$set" --device "$DEVICE" "$@" > "$OUT/tables/.$name.part"
  mv "$OUT/tables/.$name.part" "$OUT/tables/$name.md"
  echo "$name $((SECONDS - began)) s" >> "$OUT/tables/seconds.txt"
}

"$PYTHON" benchmarks/fetch_lpips.py
[[ -d $LUTS ]] || "$PYTHON" benchmarks/fetch_luts.py --out "$LUTS"
mkdir -p "$OUT/tables"
for set in "${SETS[@]}"; do
  tables=(--luts "$LUTS")
  [[ $set == step || $set == passing ]] && tables=()
  "$HARMOVID" evaluate testset "$set" "$DATA" --out "$OUT/$set" "${tables[@]}"
done
for set in "${SETS[@]}"; do
  methods=("${COLOUR[@]}")
  [[ $set == jitter || $set == step || $set == passing ]] && methods=("${STEADY[@]}")
  run "$set" "$set" --detail network "${methods[@]}"
done
for set in "${SETS[@]}"; do
  if [[ $BVD != 0 ]]; then
    run "$set-bvd" "$set" --detail network --items "$BVD" --model bvd --model nano
  fi
  if [[ $FULL != 0 ]]; then
    run "$set-full" "$set" --items "$FULL" --model classical --model nano
    run "$set-full-unsmoothed" "$set" --items "$FULL" --model nano --set transfer.temporal_sigma=0
  fi
done
"$HARMOVID" evaluate report "${SETS[@]/#/$OUT/}" --out "$OUT/report" --overwrite
