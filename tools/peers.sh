#!/usr/bin/env bash
# Makes the environments of the libraries that benchmarks compare with, each apart from .venv:
# their dependencies contradict those of this project. Does nothing for one that is there.
# Usage: tools/peers.sh [flwr]
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PEERS=build/peers
readonly LOG=$PEERS/setup.log

fail() {
  printf 'peers: %s\n' "$1" >&2
  exit 1
}

make_flwr() {
  local folder=$PEERS/flwr
  [ -e "$folder/.installed" ] && return
  printf 'peers: installing Flower into %s\n' "$folder"
  "${PYTHON:-.venv/bin/python}" -m venv --clear "$folder" >"$LOG" 2>&1 ||
    fail "no environment in $folder (log: $LOG)"
  # The same torch as this project's: what differs is the framework alone.
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$folder/bin/python" -m pip install --no-compile \
    'flwr[simulation]==1.41.0' "$(grep '^torch==' constraints.txt)" >>"$LOG" 2>&1 ||
    fail "pip failed (log: $LOG)"
  touch "$folder/.installed"
}

mkdir -p "$PEERS"
case ${1:-flwr} in
  flwr) make_flwr ;;
  *) fail "no peer $1; known: flwr" ;;
esac
