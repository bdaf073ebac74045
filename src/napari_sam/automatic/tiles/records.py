"""What was found in each tile, on disk: a file for each tile, so that a run goes on where it was cut short.

Files take their names when they are whole, and say the same whoever writes them: workers on several machines may
share a folder, and do a tile twice.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from napari_sam.automatic.proposals import Proposal
from napari_sam.errors import InputError
from napari_sam.files import replacing
from napari_sam.io.outputs import reason, remedy
from napari_sam.masks import decode_boxed, encode_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sam.automatic.tiles.plan import Tile, TilePlan

FORMAT = "napari-sam-tiles"
VERSION = 1


class TileRecords:
    """Proposals of the tiles of a plane, in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    plan : TilePlan
        The tiles.
    about : mapping of str to Any, optional
        What else the proposals depend on, such as image, model and settings; anything that JSON can hold.

    Raises
    ------
    InputError
        If the folder holds the tiles of something else, or cannot be written.
    """

    def __init__(self, folder: Path, plan: TilePlan, about: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.plan = plan
        tiles = {"plane": plan.plane, "side": plan.side, "halo": plan.halo, "steps": plan.steps}
        # Through JSON and back, or it would not equal what is read: tuples become lists there.
        own = json.loads(json.dumps({"format": FORMAT, "version": VERSION, "tiles": tiles, "about": about or {}}))
        path = folder / "plan.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                self._write(path, own)
            there = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{folder} cannot be used: {reason(error)}. {remedy(error)}") from error
        except ValueError:
            there = None
        if there != own:
            raise InputError(
                f"{folder} holds the tiles of another run. Delete the folder to start anew, or choose another one."
            )

    def missing(self) -> list[Tile]:
        """Return the tiles that are still to be done, in the order of their numbers."""
        return [tile for tile in self.plan.tiles if tile not in self]

    def __contains__(self, tile: Tile) -> bool:
        try:
            with self._path(tile).open("rb") as file:
                file.seek(-1, os.SEEK_END)
                # After a power cut a file may be there, and be short or empty.
                return file.read() == b"}"
        except OSError:
            return False

    def add(self, tile: Tile, proposals: Sequence[Proposal]) -> None:
        """Record what was found in a tile; what was recorded of it before is replaced.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        try:
            self._write(self._path(tile), {"proposals": [_to_dict(proposal) for proposal in proposals]})
        except OSError as error:
            raise InputError(f"{self._path(tile)} cannot be written: {reason(error)}. {remedy(error)}") from error

    def proposals(self, tile: Tile) -> list[Proposal]:
        """Read what was found in a tile, in the order in which it was found.

        Raises
        ------
        InputError
            If the tile was not done, or its file is damaged.
        """
        try:
            found = json.loads(self._path(tile).read_text(encoding="utf-8"))["proposals"]
            return [_from_dict(data, self.plan.plane) for data in found]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"The tile in {self._path(tile)} is missing or damaged. Delete the file, and run again."
            ) from error

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile.row}-{tile.column}.json"

    def _write(self, path: Path, data: Mapping[str, Any]) -> None:
        # A name of its own: two machines may have processes of one number.
        part = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
        with replacing(path, part) as temporary, temporary.open("x", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))


def _to_dict(proposal: Proposal) -> dict[str, Any]:
    mask = proposal.mask
    return {
        "origin": [int(at) for at in mask.origin],
        # Runs of the box alone: those of the plane would be decoded by whole columns.
        "mask": encode_mask(mask.mask, (0, 0), (mask.mask.shape[0], mask.mask.shape[1])),
        "score": float(proposal.score),
        "stability": float(proposal.stability),
        "point": proposal.point,
        "crop": proposal.crop,
        **({"matches": proposal.matches} if proposal.matches else {}),
    }


def _from_dict(data: Mapping[str, Any], plane: tuple[int, int]) -> Proposal:
    top, left = data["origin"]
    boxed = decode_boxed(data["mask"]).shifted((top, left), plane)
    point, crop = data["point"], data["crop"]
    return Proposal(
        boxed,
        data["score"],
        data["stability"],
        None if point is None else (point[0], point[1]),
        None if crop is None else ((crop[0][0], crop[0][1]), (crop[1][0], crop[1][1])),
        tuple(data.get("matches", ())),
    )
