#!/usr/bin/env bash
# Installs the system packages that sinew is built from (docs/dependencies.md says why each).
#
#   scripts/install_dependencies.sh [demo|test|fuzz]     demo: what the release build needs (default)
#                                                        test: and the test and lint tools; where there is no nvcc,
#                                                        CMake then fetches it as wheels (SINEW_CUDA=PIP, 0.9 GB)
#                                                        fuzz: demo, and clang with its sanitizers and libFuzzer
#   scripts/install_dependencies.sh --list [SET]    prints the packages of a set and stops
#
# Works as root and with sudo. When everything is installed it asks dpkg and nothing else.
set -euo pipefail

demo_packages=(
  # compiler and build; python3-venv: CMake fetches the pyarrow wheel with pip (Arrow is not in Debian)
  g++ cmake ninja-build pkg-config python3-venv ca-certificates
  # video and images
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libturbojpeg0-dev libpng-dev zlib1g-dev
  # configuration, command line, log
  nlohmann-json3-dev libcli11-dev libfmt-dev libspdlog-dev
  # tokenizer
  libpcre2-dev libutf8proc-dev
  # content hashes
  libxxhash-dev
  # plots, with the font they are lettered in
  libcairo2-dev fonts-dejavu-core
)
test_packages=(libgtest-dev libgmock-dev clang-format-14 clang-tidy-14)
# The distribution's own clang: the targets need libFuzzer, not a certain version of it. llvm has the symboliser.
fuzz_packages=(clang libclang-rt-dev llvm)

fail() {
  printf 'install_dependencies: %s\n' "$1" >&2
  exit 1
}

packages_of() {
  case "$1" in
    demo) printf '%s\n' "${demo_packages[@]}" ;;
    test) printf '%s\n' "${demo_packages[@]}" "${test_packages[@]}" ;;
    fuzz) printf '%s\n' "${demo_packages[@]}" "${fuzz_packages[@]}" ;;
    *) fail "unknown set '$1': demo, test or fuzz" ;;
  esac
}

# The packages of the arguments that dpkg does not have installed, one a line.
missing_of() {
  local installed
  installed="$(dpkg-query -W -f='${binary:Package} ${db:Status-Abbrev}\n' "$@" 2>/dev/null |
    awk '$2 == "ii" { sub(/:.*/, "", $1); print $1 }' || true)"
  printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$installed") || true
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    fail "not root and no sudo: run as root once, or install by hand: apt-get install ${missing[*]}"
  fi
}

check_distribution() {
  local id="" version=""
  if [[ -r /etc/os-release ]]; then
    # shellcheck source=/dev/null
    id="$(. /etc/os-release && echo "${ID:-}")"
    # shellcheck source=/dev/null
    version="$(. /etc/os-release && echo "${VERSION_ID:-}")"
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "no apt on this system (${id:-unknown} ${version}): install the equivalents of $(packages_of "$1" | tr '\n' ' ')"
  fi
  case "$id $version" in
    "debian 12" | "ubuntu 24.04") ;;
    *) printf 'install_dependencies: %s is not one of the tested systems (Debian 12, Ubuntu 24.04); trying\n' \
      "${id:-unknown} ${version}" >&2 ;;
  esac
}

# Packages of the arguments that no configured source offers.
unknown_to_apt() {
  local package
  for package in "$@"; do
    [[ "$(apt-cache policy "$package")" == *"Candidate: "[!\(]* ]] || echo "$package"
  done
}

if [[ "${1:-}" == --list ]]; then
  packages_of "${2:-demo}"
  exit 0
fi
set_name="${1:-demo}"
wanted_list="$(packages_of "$set_name")"
mapfile -t wanted <<<"$wanted_list"
check_distribution "$set_name"
mapfile -t missing < <(missing_of "${wanted[@]}")
if ((${#missing[@]} == 0)); then
  echo "dependencies ($set_name): all ${#wanted[@]} packages are installed"
  exit 0
fi

echo "dependencies ($set_name): installing ${missing[*]}"
as_root apt-get update -qq || fail "apt-get update failed (output above): is there a network, and are the sources right?"
mapfile -t unknown < <(unknown_to_apt "${missing[@]}")
if ((${#unknown[@]} > 0)); then
  fail "apt does not know: ${unknown[*]}. On Ubuntu most of these are in 'universe': add-apt-repository universe"
fi
as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
  fail "apt-get install failed (output above)"
mapfile -t still < <(missing_of "${missing[@]}")
((${#still[@]} == 0)) || fail "not installed although apt reported success: ${still[*]}"
