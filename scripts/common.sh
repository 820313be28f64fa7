# shellcheck shell=bash
# Shared by demo.sh and test.sh: where the source is, how many jobs fit, and named, timed stages.
# Sourced, not run.
set -euo pipefail

source_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$source_dir"

stage_names=()
stage_seconds=()

# Compile jobs: one a core, but not more than memory holds at 1.5 GB each (a C++ file with Arrow's or
# CLI11's headers needs about 1 GB with sanitizers).
job_count() {
  local cores memory_kb limit
  cores="$(nproc)"
  memory_kb="$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)"
  limit="$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)"
  if [[ "$limit" != max && $((limit / 1024)) -lt "$memory_kb" ]]; then
    memory_kb=$((limit / 1024))
  fi
  local fitting=$((memory_kb / 1500000))
  ((fitting < cores)) || fitting="$cores"
  ((fitting > 0)) || fitting=1
  echo "$fitting"
}

print_stages() {
  local i
  printf '\n%-28s %8s\n' stage seconds
  for i in "${!stage_names[@]}"; do
    printf '%-28s %8d\n' "${stage_names[i]}" "${stage_seconds[i]}"
  done
}

# stage NAME COMMAND...: runs the command; on failure says which stage it was and exits with its status.
stage() {
  local name="$1" begin="$SECONDS" status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || status=$?
  stage_names+=("$name")
  stage_seconds+=($((SECONDS - begin)))
  if ((status != 0)); then
    print_stages
    printf '\nFAILED: %s (exit status %d)\n' "$name" "$status" >&2
    exit "$status"
  fi
}

# configure PRESET: once; afterwards ninja runs CMake itself when a CMake file has changed.
configure() {
  [[ -f "build/$1/build.ninja" ]] || cmake --preset "$1"
}

# build PRESET [--target TARGET...]
build() {
  local preset="$1"
  shift
  cmake --build --preset "$preset" -j "$(job_count)" "$@"
}
