# shellcheck shell=bash disable=SC2034
# Shared by the scripts beside it: `source` it after `set -euo pipefail`. It has no effects of its own.

# Exactly the version of the library in Cargo.toml; the two refuse each other otherwise.
WASM_BINDGEN_VERSION=0.2.129
WASM_TARGET=wasm32-unknown-unknown
# Debian's compiler is the fall-back where rustup can't bring the wasm library.
DEBIAN_WASM_PACKAGES=(rustc-web cargo-web rust-web-src lld-22)
DEBIAN_RUSTC=/usr/bin/rustc
DEBIAN_WASM_LINKER=/usr/bin/wasm-ld-22

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools built once for all checkouts of this user, in <tool>-<version>.
CACHE=${CATRACA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/catraca}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

wasm_bindgen() { printf '%s/wasm-bindgen-%s/bin/wasm-bindgen\n' "$CACHE" "$WASM_BINDGEN_VERSION"; }

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
