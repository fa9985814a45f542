# Source this: the environment's Python and native tools come first on PATH, and py-solc-x finds the compiler shim.
_flchain_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
export PATH="$_flchain_root/.venv/bin:$_flchain_root/node_modules/.bin:$PATH"
export SOLCX_BINARY_PATH="$_flchain_root/.solcx"
# Inside the checkout, so that two checkouts never share compiled contracts or accounts.
export APE_DATA_FOLDER="${APE_DATA_FOLDER:-$_flchain_root/.ape-data}"
export FOUNDRY_OFFLINE=true FOUNDRY_DISABLE_NIGHTLY_WARNING=1
unset _flchain_root
