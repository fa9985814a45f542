#!/usr/bin/env bash
# Sets up what the make targets need: .venv, node_modules, compiler shim, compiled contracts.
# Does nothing when nothing changed: each part keeps a stamp with a digest of what it was made from.
# Usage: tools/setup.sh [--no-contracts | --with-kubo]
set -euo pipefail
cd "$(dirname "$0")/.."

readonly LOG=build/setup.log
readonly PYTHON_STAMP=.venv/.installed
readonly KUBO_STAMP=.venv/.kubo-installed
readonly NODE_STAMP=node_modules/.installed
readonly CONTRACT_STAMP=.build/.exported
readonly ARTIFACTS=flchain/chain/artifacts

say() { printf 'setup: %s\n' "$1"; }

fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

is_current() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# The folder is part of it: an environment that has been moved does not work.
python_key() {
  { pwd; cat constraints.txt requirements.txt; sed '/^\[tool\.ruff/,$d' pyproject.toml; } | digest
}

kubo_key() { digest <requirements-kubo.txt; }

node_key() { cat package.json package-lock.json .npmrc | digest; }

sources() { find contracts -name '*.sol' -not -path '*/.cache/*' 2>/dev/null | LC_ALL=C sort; }

contract_key() {
  {
    sources | xargs cat
    cat ape-config.yaml foundry.toml package-lock.json tools/solc tools/export_artifacts.py
    find "$ARTIFACTS" -name '*.json' | LC_ALL=C sort | xargs cat
  } | digest
}

is_python_current() {
  is_current "$PYTHON_STAMP" "$(python_key)" && .venv/bin/python -c '' 2>/dev/null
}

is_node_current() { is_current "$NODE_STAMP" "$(node_key)" && [ -e .venv/bin/solc ]; }

are_contracts_current() {
  [ -z "$(sources)" ] || { [ -f .build/__local__.json ] && is_current "$CONTRACT_STAMP" "$(contract_key)"; }
}

check_node() {
  command -v node >/dev/null || fail 'Node.js is missing: install Node 20 or newer'
  command -v npm >/dev/null || fail 'npm is missing: install it beside Node (on Debian: apt install npm)'
  local version
  version=$(node --version)
  [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] ||
    fail "Node $version is too old: install Node 20 or newer"
}

find_python() {
  local candidate found=
  for candidate in ${PYTHON:-python3 python3.12 python3.11}; do
    command -v "$candidate" >/dev/null || continue
    found=$("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
    case $found in 3.11.* | 3.12.*) command -v "$candidate" && return ;; esac
  done
  fail "Python 3.11 or 3.12 is needed (numpy 1.26, which Ape pins, has no build for newer ones); found ${found:-none}. \
Install one, or name it: make PYTHON=/path/to/python3.12 ..."
}

make_environment() {
  .venv/bin/python -m pip --version >/dev/null 2>&1 && return
  local python
  python=$(find_python)
  "$python" -m venv --clear .venv >"$LOG" 2>&1 ||
    fail "$python cannot make an environment: install its venv module (on Debian: apt install python3-venv)"
}

# Byte code is left to the first import, which compiles what is used: half the time for this many files.
run_pip() {
  PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --no-compile "$@" >>"$LOG" 2>&1 && return
  if grep -q -e 'NewConnectionError' -e 'NameResolutionError' -e 'ConnectTimeout' -e 'ProxyError' "$LOG"; then
    fail "pip cannot reach the package index: check the network or proxy and run make again (log: $LOG)"
  fi
  fail "pip failed: $(grep -iE '^ *([a-z]*error):' "$LOG" | tail -n 1 | sed 's/^ *//') (log: $LOG)"
}

install_python() {
  say 'installing Python packages into .venv (two to five minutes the first time)'
  make_environment
  run_pip -r requirements.txt
  # hatchling is installed by now; no second, isolated copy of it is fetched.
  run_pip --no-build-isolation -c constraints.txt -e '.[torch,ipfs,ape]'
  python_key >"$PYTHON_STAMP"
}

# A real IPFS node for the tests marked kubo: large, so only the targets that run them ask for it.
install_kubo() {
  [ "$(uname -sm)" = 'Linux x86_64' ] || return 0
  say 'installing Kubo for the storage tests'
  run_pip --no-deps -r requirements-kubo.txt
  kubo_key >"$KUBO_STAMP"
}

install_node() {
  say 'installing Anvil, forge, solc and OpenZeppelin into node_modules'
  npm ci --ignore-scripts --no-progress >"$LOG" 2>&1 || {
    if grep -q -e ENOTFOUND -e ECONNREFUSED -e ETIMEDOUT -e EAI_AGAIN -e ECONNRESET "$LOG"; then
      fail "npm cannot reach its registry: check the network or proxy and run make again (log: $LOG)"
    fi
    fail "npm failed: $(grep -m 1 -i 'npm error' "$LOG") (log: $LOG)"
  }
  link_compiler
  check_native_tools
  node_key >"$NODE_STAMP"
}

# py-solc-x wants solc-v<version> in its own folder; forge, slither and people want solc on PATH.
link_compiler() {
  local version
  version=$(node -p 'require("solc/package.json").version')
  mkdir -p .solcx
  rm -f .solcx/solc-v*
  ln -sfn ../tools/solc ".solcx/solc-v$version"
  ln -sfn ../../tools/solc .venv/bin/solc
}

# npm skips an optional package for another platform without a word, so its tools are run once here.
check_native_tools() {
  local tool
  for tool in anvil forge; do
    (. tools/env.sh && "$tool" --version >/dev/null 2>&1) ||
      fail "no $tool for $(uname -s) $(uname -m): the packaged one is for Linux x86_64, elsewhere install Foundry 1.7.1 and put it on PATH"
  done
}

# Both compile, side by side: Ape for its console and scripts, forge for tests and package data. All of them, because
# via-IR code depends on what else is compiled at the same time, so part of the contracts, or tests beside them, would
# give other bytecode.
compile_contracts() {
  say 'compiling contracts'
  local ape
  (. tools/env.sh && ape compile --force) >build/ape-compile.log 2>&1 &
  ape=$!
  (. tools/env.sh && forge build --force contracts) >"$LOG" 2>&1 || {
    wait "$ape" || true
    cat "$LOG" >&2
    fail 'the contracts do not compile'
  }
  wait "$ape" || fail 'forge compiles the contracts but Ape does not (log: build/ape-compile.log)'
  .venv/bin/python tools/export_artifacts.py
  contract_key >"$CONTRACT_STAMP"
}

main() {
  mkdir -p build "$ARTIFACTS"
  # Two targets started at the same time must not install over each other.
  if command -v flock >/dev/null; then
    exec 9>build/setup.lock
    flock 9
  fi
  is_python_current && is_node_current || check_node
  is_python_current || install_python
  is_node_current || install_node
  [ "${1:-}" != --with-kubo ] || is_current "$KUBO_STAMP" "$(kubo_key)" || install_kubo
  [ "${1:-}" = --no-contracts ] || are_contracts_current || compile_contracts
}

main "$@"
