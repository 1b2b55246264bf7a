#!/usr/bin/env bash
# The method from published CogVideoX weights, on GPUs: all three networks begin from them, widened by what they are
# told (harmovid/model/backbone.py). Stopped, it goes on where it was.
#
#     WEIGHTS=CogVideoX-2b DATA=footage HDRI=hdri OUT=out/cogvideox LAUNCH="torchrun --nproc_per_node 8 --no-python" \
#       runs/cogvideox.sh                                     # SMALL=1: with weights of a toy's size, within minutes
#
# WEIGHTS is the folder of CogVideoX-2b, or of 5b with PRESET=cogvideox-5b: transformer/, vae/ and scheduler/, and where
# it is at hand null_text.safetensors (harmovid/model/checkpoint.py). DATA holds portraits_video/, and what else
# docs/manual.md, "data shards", says. Steps and the number of clips at a time are the paper's: 1,200 iterations of eight
# clips, one a GPU. It was run with tiny weights of this format alone: by arithmetic 2b, its gradients, moments and
# mean take 34 GB in single precision, 5b 111 GB, which the processes divide among them; with LORA=128 5b takes 23 GB.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
HDRI=${HDRI:-hdri}
OUT=${OUT:-out/cogvideox}
WEIGHTS=${WEIGHTS:-CogVideoX-2b}
PRESET=${PRESET:-cogvideox-2b}
FRAMES=${FRAMES:-49}  # of a clip, and of the window of steps 2 and 3
LORA=${LORA:-0}  # rank of what is trained (needs the extra [train]); 0 trains all of it
DEVICE=${DEVICE:-cuda}
PROCESSES=${PROCESSES:-8}
HARMOVID=${HARMOVID:-.venv/bin/harmovid}
read -ra LAUNCH <<< "${LAUNCH:-}"  # what trains in several processes

if [[ ${SMALL:-} == 1 ]]; then
  STEPS=${STEPS:-4} PAIRS=${PAIRS:-3} HELD=${HELD:-1} FRAMES=9
  SOME=(--limit 3 --no-photos) VIEW=(--set preset.view.area=6144 --set loop.lr=0.01)
  KEEP=(--set correlation=-1 --set 'amplitude=[-9,9]' --set texture=-1 --set remaining=9)  # after four steps none is good
else
  STEPS=${STEPS:-1200} PAIRS=${PAIRS:-400} HELD=${HELD:-20}
  SOME=(--area 400000 --overview 256) VIEW=() KEEP=()  # views are of 480 × 720 pixels; a shard has some room around them
fi

train() {  # STAGE OPTION...
  local stage=$1
  shift
  "${LAUNCH[@]}" "$HARMOVID" train "$stage" --preset "$PRESET" --data "$OUT/shards" --codec "$WEIGHTS" --init "$WEIGHTS" \
    --out "$OUT/$stage" --device "$DEVICE" --resume --set loop.steps="$STEPS" --set stage.lora="$LORA" "${VIEW[@]}" \
    "$@"
}

"$HARMOVID" data shards "$DATA" --out "$OUT/shards" --processes "$PROCESSES" "${SOME[@]}"

# Step 1: single frames, sampled in eight steps with noise of their own, and pairs made with it.
train harmoim --set 'stage.lengths=[[1, 8, 1.0]]'
pairs() {  # FOLDER SPLIT COUNT
  "$HARMOVID" data pairs "$OUT/shards" --out "$OUT/$1" --model "$OUT/harmoim/model" --split "$2" --count "$3" \
    --frames "$FRAMES" --hdri "$HDRI" --device "$DEVICE"
}
pairs pairs train "$PAIRS"
pairs held validation "$HELD"

# Step 2: the deflickering network, and the pairs without their flicker.
WINDOW=(--set "stage.lengths=[[$FRAMES, 1, 1.0]]" --set preset.view.window="$FRAMES")
train deflicker --pairs "$OUT/pairs" "${WINDOW[@]}"
for made in pairs held; do
  "$HARMOVID" data refine "$OUT/$made" --out "$OUT/refined-$made" --footage "$OUT/shards" \
    --model "$OUT/deflicker/model" --device "$DEVICE" "${KEEP[@]}"
done

# Step 3: both paths.
train harmonize --pairs "$OUT/refined-pairs" --pairs "$OUT/refined-held" "${WINDOW[@]}" --set stage.sources.misfit=0
