#!/usr/bin/env bash
# Everything that needs a GPU, in under ten minutes: every op against the CPU's cases, golden cases through the engine
# and through the program, repeatability, compute-sanitizer on the nano checkpoint, then the benchmark at full size.
#
#   scripts/device.sh [--results DIR] [--no-build] [--quick] [--iterations N] [--lowerings "leaf fused"]
#
# Builds the preset `gpu` (no media libraries) unless --no-build. --quick leaves the sanitizer and the benchmark out.
# Exits with 1 if any part failed; every part runs.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

results=build/gpu/device
build=1
quick=0
iterations=200
lowerings="leaf fused"
while (($# > 0)); do
  case "$1" in
    --results)
      results="${2:?--results: a folder}"
      shift
      ;;
    --no-build) build=0 ;;
    --quick) quick=1 ;;
    --iterations)
      iterations="${2:?--iterations: a number}"
      shift
      ;;
    --lowerings)
      lowerings="${2:?--lowerings: one or both of leaf and fused}"
      shift
      ;;
    *)
      echo "device: unknown option $1; see the head of this file" >&2
      exit 2
      ;;
  esac
  shift
done
mkdir -p "$results"
failed=()

# part NAME COMMAND...: runs it with its output in a log, whose end is shown.
part() {
  local name="$1" begin="$SECONDS" status=0
  shift
  "$@" >"$results/$name.log" 2>&1 || status=$?
  printf '== %-24s %4d s  %s\n' "$name" "$((SECONDS - begin))" "$([[ $status == 0 ]] && echo ok || echo "FAILED ($status)")"
  if ((status != 0)); then
    failed+=("$name")
    grep -aE 'error|FAILED|Failure|off by|ratio|<--|ERROR' "$results/$name.log" | head -40
    tail -n 15 "$results/$name.log"
  else
    tail -n "${tail_lines:-2}" "$results/$name.log"
  fi
}

nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv || exit 1
if ((build)); then
  part configure cmake --preset gpu
  part build cmake --build --preset gpu -j "$(nproc)"
  if ((${#failed[@]} > 0)); then
    exit 1
  fi
fi
bin=build/gpu
export SINEW_TEST_DEVICE=cuda
part doctor "$bin/sinew" doctor
part ops "$bin/tests/kernels_cuda/kernels_cuda_test"
part engine "$bin/tests/engine_cuda/engine_cuda_test"
part golden "$bin/tests/policy/policy_golden_test"
part steady_state "$bin/tests/policy/policy_steady_state_test"
part program_golden "$bin/tests/end_to_end/end_to_end_test" '--gtest_filter=*Infer*'
part policy_on_gpu "$bin/tests/policy/policy_cuda_test"
SINEW_TEST_LOWERING=leaf part golden_leaf "$bin/tests/policy/policy_golden_test"
SINEW_TEST_LOWERING=leaf part policy_on_gpu_leaf "$bin/tests/policy/policy_cuda_test"
tail_lines=30 part fused_prefill "$bin/sinew_prefill" check
tail_lines=10 part fused_denoising "$bin/sinew_bench_dit_stack" --bits 20 --replays 50
if ((quick)); then
  ((${#failed[@]} == 0))
  exit
fi

if command -v compute-sanitizer >/dev/null; then
  part sanitizer timeout 150 compute-sanitizer --tool memcheck --error-exitcode 9 "$bin/sinew" bench --synthetic nano --device cuda \
    --iterations 1 --warmup 0 --quiet
  part sanitizer_races timeout 150 compute-sanitizer --tool racecheck --error-exitcode 9 \
    "$bin/tests/kernels_cuda/kernels_cuda_test" '--gtest_filter=EveryOpOnCuda.MatchesNaive*'
  part sanitizer_fused timeout 150 compute-sanitizer --tool memcheck --error-exitcode 9 "$bin/sinew_prefill" check-small
else
  echo '== sanitizer: compute-sanitizer is not installed, nothing was checked'
fi

scratch="$(mktemp -d)" || exit 1
trap 'rm -rf "$scratch"' EXIT
checkpoint="$scratch/checkpoint"
part synth "$bin/sinew" synth n1.6-3b --output "$checkpoint"
if python3 -c 'import torch, safetensors' 2>/dev/null; then
  tail_lines=30 part full_size_errors python3 bench/baselines/full_size.py --build "$bin" --checkpoint "$checkpoint"
else
  echo '== full_size_errors: PyTorch and safetensors are not installed, nothing was compared'
fi
for lowering in $lowerings; do
  # name, views, frame, text tokens, action tokens, denoising steps
  while read -r name views size tokens horizon steps; do
    tail_lines=60 part "bench_${name}_$lowering" "$bin/sinew" bench "$checkpoint" --device cuda --lowering "$lowering" \
      --views "$views" --image-size "$size" --text-tokens "$tokens" --horizon "$horizon" --denoising-steps "$steps" \
      --warmup 20 --iterations "$iterations" --quiet
  done <<EOF
a 1 252x252 35 16 4
b 2 252x280 42 16 4
c 4 252x280 51 16 2
d 2 252x280 42 50 4
EOF
done
if ((${#failed[@]} > 0)); then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
