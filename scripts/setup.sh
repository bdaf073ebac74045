#!/usr/bin/env bash
# Sets up everything that the make targets need: system libraries, .venv, and the package in it with its tools.
# Safe to run again. PYTHON names the interpreter to build .venv with (default: python3).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

# What Qt's xcb plugin, a virtual screen and software OpenGL need on Debian and Ubuntu.
packages=(
  xvfb xauth libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3 libfontconfig1 fonts-dejavu-core
  libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
  libxcb-shape0 libxcb-xinerama0
)

say() { printf '%s\n' "setup: $*"; }
die() { say "$*" >&2; exit 1; }

# Newer releases of Debian and Ubuntu rename some libraries to NAMEt64.
installed() { { dpkg-query -W -f '${db:Status-Status}\n' "$1" "$1t64" 2>/dev/null || true; } | grep -qx installed; }

# apt_install PACKAGE...: true if they are there afterwards.
apt_install() {
  local apt=(apt-get)
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    apt=(sudo -n env DEBIAN_FRONTEND=noninteractive apt-get)
  fi
  say "installing with apt-get: $*"
  export DEBIAN_FRONTEND=noninteractive
  "${apt[@]}" update -qq </dev/null || say "apt-get update failed; trying with the lists at hand."
  "${apt[@]}" install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

system_libraries() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
    [ "$(uname -s)" != Linux ] || say "not Debian or Ubuntu: make sure that Xvfb and the libraries of Qt's xcb plugin are installed."
    return 0
  }
  local missing=() package
  for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}" || {
    say "these system packages are missing and could not be installed here; windows and GUI tests may not work:"
    say "  sudo apt-get install ${missing[*]}"
  }
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

check_python() {
  command -v "$python" >/dev/null || die "no '$python' found. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3"
  new_enough "$python" ||
    die "'$python' is $("$python" --version 2>&1); 3.11 or newer is needed. Name another: make setup PYTHON=/path/to/python3"
}

create_venv() {
  if new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; then return 0; fi
  check_python
  say "creating .venv with $("$python" --version 2>&1)"
  "$python" -m venv --clear .venv >/dev/null 2>&1 && return 0
  # Debian and Ubuntu ship the venv module without pip unless pythonX.Y-venv is installed.
  local version
  version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
  if command -v apt-get >/dev/null && apt_install "python$version-venv"; then
    "$python" -m venv --clear .venv && return 0
  fi
  "$python" -m virtualenv --clear .venv >/dev/null 2>&1 ||
    die "'$python -m venv' failed. Install it (sudo apt-get install python$version-venv) and run make again."
}

system_libraries
create_venv
say "installing the package and its tools into .venv (the first time takes minutes: PyTorch is large)"
.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check -e '.[dev]' </dev/null
say "ready."
