#!/usr/bin/env bash
# Makes build/peers/flwr, an environment with the one version of Flower that benchmarks/secagg.py runs beside.
# Does nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly FLWR=flwr==1.41.0
readonly FOLDER=build/peers/flwr
readonly LOG=build/peers/setup.log

[ "$(cat "$FOLDER/.installed" 2>/dev/null)" = "$FLWR" ] && exit
[ -x .venv/bin/python ] || bash tools/setup.sh --no-contracts
mkdir -p build/peers
printf 'setup: installing %s into %s\n' "$FLWR" "$FOLDER"
.venv/bin/python -m venv --clear "$FOLDER" >"$LOG" 2>&1
"$FOLDER/bin/python" -m pip install --disable-pip-version-check "$FLWR" >>"$LOG" 2>&1 || {
  printf 'setup: pip failed (log: %s)\n' "$LOG" >&2
  exit 1
}
printf '%s' "$FLWR" >"$FOLDER/.installed"
