"""``napari-sam doctor``: look whether everything is in place."""

import json
from dataclasses import asdict

import typer

from napari_sam.commands.common import reported, work_bar
from napari_sam.commands.options.shared import Debug, JsonTable

_COLOURS = {"ok": typer.colors.GREEN, "note": typer.colors.YELLOW, "broken": typer.colors.RED}


def doctor(
    as_json: JsonTable = False,
    debug: Debug = False,
) -> None:
    """Check versions, Qt, devices and weights, and make a test prediction; exit with 1 if something is broken."""
    from napari_sam.commands.doctor.checks import Verdict, diagnose

    with reported(debug):
        with work_bar("Looking") as progress:
            findings = diagnose(progress)
        broken = [finding for finding in findings if finding.verdict is Verdict.BROKEN]
        if as_json:
            typer.echo(json.dumps({"ok": not broken, "findings": [asdict(f) for f in findings]}, indent=2))
        else:
            # Plain lines, not a table: they go into bug reports, whole.
            width = max(len(finding.subject) for finding in findings)
            for finding in findings:
                mark = typer.style(f"{finding.verdict:6}", fg=_COLOURS[finding.verdict])
                typer.echo(f"{mark}  {finding.subject:{width}}  {finding.text}")
            typer.echo(f"{len(broken)} of {len(findings)} checks failed." if broken else "Everything is in place.")
        if broken:
            raise typer.Exit(1)
