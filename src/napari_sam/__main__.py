"""Where the command ``napari-sam`` and ``python -m napari_sam`` begin."""

import sys

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main() -> None:
    """Run the command line; Ctrl-C while it is still being loaded is answered in a word, too."""
    try:
        from napari_sam.cli import app
    except KeyboardInterrupt:
        # Without typer, which may not have been imported yet.
        sys.stderr.write("Stopped.\n")
        raise SystemExit(_INTERRUPTED) from None
    app()


if __name__ == "__main__":
    main()
