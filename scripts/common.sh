# shellcheck shell=bash disable=SC2034
# Shared by the scripts beside it: `source` it after `set -euo pipefail`. It has no effects of its own.

WASM_TARGET=wasm32-unknown-unknown
# Debian's compiler is the fall-back where rustup can't bring the wasm library.
DEBIAN_WASM_PACKAGES=(rustc-web cargo-web rust-web-src lld-22)
DEBIAN_RUSTC=/usr/bin/rustc
DEBIAN_WASM_LINKER=/usr/bin/wasm-ld-22

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What is built once for all checkouts of this user.
CACHE=${CATRACA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/catraca}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Builds the program that makes JavaScript from wasm, with the compiler for this machine, and prints its path.
# Without -p, so that cargo builds its dependencies with the features they have among all the programs.
wasm_bindgen() {
  (cd "$ROOT" && env -u RUSTC -u RUSTC_WRAPPER cargo build --locked --quiet --bin catraca-bindgen) >&2 || return
  printf '%s/debug/catraca-bindgen\n' "${CARGO_TARGET_DIR:-$ROOT/target}"
}

# Runs a step, named by the first argument, and says how long it took unless that was nothing.
timed() {
  local what=$1 from=$SECONDS
  shift
  "$@" || return
  if ((SECONDS - from > 1)); then say "$what took $((SECONDS - from)) s"; fi
}

# True when the rustc on the path can build for wasm by itself.
rustup_has_wasm() {
  local libdir
  libdir=$(cd "$ROOT" && rustc --print target-libdir --target "$WASM_TARGET" 2>/dev/null) || return 1
  compgen -G "$libdir/libstd-*.rlib" >/dev/null
}

# Folder of the private sysroot around Debian's compiler, named after its exact version.
debian_sysroot() {
  local version
  version=$("$DEBIAN_RUSTC" --version 2>/dev/null | cut -d' ' -f2) || return 1
  printf '%s/wasm-sysroot-debian-%s\n' "$CACHE" "$version"
}

# Points cargo at whichever compiler can build the Worker. CATRACA_WASM=debian forces the fall-back.
use_wasm_toolchain() {
  if [[ ${CATRACA_WASM:-rustup} != debian ]] && rustup_has_wasm; then
    return 0
  fi
  local sysroot
  if sysroot=$(debian_sysroot) && [[ -e $sysroot/ready ]]; then
    export RUSTC=$sysroot/rustc RUSTC_WRAPPER=
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$DEBIAN_WASM_LINKER
    return 0
  fi
  return 1
}
