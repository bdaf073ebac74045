"""What is said about work that can be had back."""

from __future__ import annotations

from datetime import datetime, timedelta

NOTHING = "There is nothing to restore for this image."
CANCELLED = "Restoring was stopped. Undo takes back what was restored."
TARGET_GONE = "The labels layer was removed while its objects were being restored."


def offer(objects: int, image: str, time: str, now: datetime) -> str:
    """Say what can be restored.

    Parameters
    ----------
    objects : int
        How many objects.
    image : str
        Name of the image.
    time : str
        When the last of them was written, ISO 8601.
    now : datetime
        With a time zone, which is the person's.
    """
    return f"{count(objects)} of {image}, {when(time, now)}."


def when(time: str, now: datetime) -> str:
    """Say a time as a person does, such as "yesterday 17:04"."""
    try:
        then = datetime.fromisoformat(time).astimezone(now.tzinfo)
    except ValueError:
        return "some time ago"
    days = (now.date() - then.date()) // timedelta(days=1)
    words = {0: "today", 1: "yesterday"}
    day = words.get(days) or (f"{then.day} {then:%B}" if then.year == now.year else f"{then.day} {then:%B %Y}")
    return f"{day} {then:%H:%M}"


def count(objects: int) -> str:
    """Count objects in words."""
    return f"{objects} object{'' if objects == 1 else 's'}"


def restoring(objects: int) -> str:
    """Say that objects are being restored."""
    return f"Restoring {count(objects)}."


def restored(objects: int, layer: str, damaged: int) -> str:
    """Say that objects were restored."""
    lost = f" {damaged} damaged record{'' if damaged == 1 else 's'} could not be read." if damaged else ""
    return f'{count(objects)} restored into "{layer}".{lost}'
