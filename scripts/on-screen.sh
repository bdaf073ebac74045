#!/usr/bin/env bash
# on-screen.sh COMMAND...: runs a command that opens windows on a virtual screen, so that it works without a display
# and leaves the person's own alone. Where there is no X11 (macOS, Windows) the command runs as it is.
set -euo pipefail
[ "$(uname -s)" = Linux ] || exec "$@"
command -v xvfb-run >/dev/null || {
  echo "xvfb-run is missing: sudo apt-get install xvfb xauth" >&2
  exit 1
}
# Software OpenGL gives the same pictures with every graphics card, and with none.
export QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1
unset WAYLAND_DISPLAY
exec xvfb-run -a -s "-screen 0 1400x1000x24 -nolisten tcp" "$@"
