#!/bin/sh
# Train two networks from nothing, at the same time, and combine them into one model in which they take turns.
# Each network has its own seed and its own CPU core.
#
#   sh scripts/train_search_x2.sh TRAIN.csv FOLDER SEED [SECOND_SEED]
#
# TRAIN.csv holds the 1,000 training puzzles (source,question,answer,rating). SECOND_SEED is SEED + 1 by default. The model is
# written to FOLDER/turns. Making the data takes minutes with numba (the extra `generate`, or `make .venv/ready-dev`) and hours
# without it. The same command continues after an interruption. SEED 5 gives the weights `sudoku-search-x2`; docs/results.md
# says how long that takes and what they solve. TRM names another trm command than .venv/bin/trm.
set -eu
[ $# -ge 3 ] || { echo "usage: sh $0 TRAIN.csv FOLDER SEED [SECOND_SEED]" >&2 && exit 2; }
case $3${4:-} in
  *[!0-9]*) echo "seeds $3 ${4:-}: they must be whole numbers" >&2 && exit 2 ;;
esac
train=$1 folder=$2 first=$3 second=${4:-$(($3 + 1))}
[ "$first" -ne "$second" ] || { echo "both seeds are $first; they must differ" >&2 && exit 2; }
trm=${TRM:-.venv/bin/trm}
data=$folder/data.csv
case $(head -n 1 "$train") in
  source,question,answer,rating*) ;;
  *) echo "$train: its first line must be source,question,answer,rating" >&2 && exit 2 ;;
esac
mkdir -p "$folder"

if [ ! -f "$data" ]; then
  "$trm" data sudoku "$folder/varied.csv" --kind varied --like "$train" --rows 5000 --seed 2
  { cat "$folder/varied.csv"; tail -n +2 "$train"; } >"$data.part"
  mv "$data.part" "$data"
fi

# part RUN PRESET SETTING...: train on one core, or resume if RUN has a checkpoint
part() {
  run=$1 preset=$2
  shift 2
  if [ -f "$run/checkpoint.pt" ]; then
    "$trm" train "$preset" --out "$run" --resume --procs 1 --threads 1 &
  else
    "$trm" train "$preset" --out "$run" --data "$data" --procs 1 --threads 1 "$@" &
  fi
  wait $!
}

network() {
  seed=$1
  trap 'kill $! 2>/dev/null || :' EXIT
  trap 'exit 143' TERM
  [ -f "$running" ] || exit 143 # a shell that has just been started loses signals
  part "$folder/begin$seed" sudoku --set seed="$seed" --set updates=21000 --set lr_floor=0.3 \
    --set keep_every=3000 &&
    part "$folder/search$seed" sudoku-search --set seed="$seed" --set init="$folder/begin$seed" \
      --set updates=5500 --set stages=sudoku:0.45:48:2 --set keep_every=500
}

# If one network fails, or the script is stopped, stop both.
networks=
running=$(mktemp "$folder/running.XXXXXX")
trap 'rm -f "$running"; kill $networks 2>/dev/null || :' EXIT
trap 'exit 143' INT TERM
trap 'tail -n 1 "$folder/$first.log" "$folder/$second.log" >&2; exit 1' USR1
for seed in "$first" "$second"; do
  { network "$seed" >>"$folder/$seed.log" 2>&1 || kill -USR1 $$; } &
  networks="$networks $!"
done
wait
[ -f "$folder/turns/config.json" ] || "$trm" turns "$folder/turns" "$folder/search$first" "$folder/search$second"
