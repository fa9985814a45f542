#!/usr/bin/env bash
# Runs every check, also after one has failed, and says at the end which did.
# Needs tools/env.sh sourced.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()

run() {
  local name=$1
  shift
  printf '== %s\n' "$name"
  "$@" || failed+=("$name")
}

has_solidity() { [ -n "$(find contracts tests/contracts -name '*.sol' -not -path '*/.cache/*' -print -quit)" ]; }

run ruff ruff check .
run 'ruff format' ruff format --check .
run mypy mypy
run import-linter lint-imports
run house python tools/check_house.py
if has_solidity; then
  run 'forge fmt' forge fmt --check
  run solhint solhint --disc --noPoster --max-warnings 0 'contracts/**/*.sol'
fi

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check: failed: %s\n' "${failed[*]}" >&2
  exit 1
fi
echo 'check: all passed'
