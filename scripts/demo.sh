#!/usr/bin/env bash
# From a fresh machine to actions: installs, builds, and evaluates the trained demo policy (examples/reach)
# on six recorded episodes. Ends with the metrics and the paths of the plots. Run again, it only evaluates.
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

reach=examples/reach
plots=build/demo

evaluate() {
  mkdir -p "$plots"
  build/release/sinew eval "$reach/checkpoints/reach-nano" --dataset-path "$reach/datasets/reach-eval" \
    --traj-ids 0 1 2 3 4 5 --noise "$reach/noise.npy" --device cpu --save-plot-path "$plots" "$@"
}

stage "dependencies" bash scripts/install_dependencies.sh demo
stage "configure" configure release
stage "build" build release
stage "evaluate" evaluate "$@"
print_stages
