"""What the person reads about proposals that can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.session.messages import key

if TYPE_CHECKING:
    from napari_sam.journal.notes.decisions import StageCounts

HINT = (
    f"{key('accept_confident')} accepts the confident ones, in blue; click what you do not want. "
    f"{key('accept')} accepts all that is shown."
)
NONE_CONFIDENT = f"No proposal here is confident. Click those that you do not want; {key('accept')} accepts the others."
NOT_IN_STACK = "Confident proposals are accepted plane by plane: find the objects of this plane, or accept the stack."
UNSURE = "What you accepted and what you dropped are too much alike to promise anything."
NO_STACK = "This image has one plane. In a stack, or in a folder of images, the next one to annotate can be found."
COMPARING = "Comparing planes, to find the one that is best annotated next."
ALL_ANNOTATED = "Every plane has objects of yours already."
NOTHING_ON_OTHERS = "Nothing was found on the planes that are not annotated yet."


def share(promise: float) -> str:
    """Name a share, such as "nine in ten"."""
    return {0.8: "four in five", 0.9: "nine in ten", 0.95: "19 in 20"}.get(promise, f"{promise:.0%}")


def promised(confident: int, shown: int, promise: float) -> str:
    """Say how many proposals are confident, what that means, and what takes them."""
    takes = f" {key('accept_confident')} takes them." if confident else ""
    return f"{confident} of {shown} proposals are confident: {share(promise)} of these would be accepted.{takes}"


def missing(count: int) -> str:
    """Say how many decisions are missing."""
    more = "1 more decision" if count == 1 else f"{count} more decisions"
    return f"{more}, and proposals that can be trusted are marked: accept and drop some."


def so_far(counts: StageCounts) -> str:
    """Say how many objects came about at each stage."""
    return (
        f"By hand {counts.by_hand}, proposed and accepted {counts.accepted}, proposed and corrected "
        f"{counts.corrected}, rejected {counts.rejected}."
    )


def left(text: str, count: int) -> str:
    """Say what is still to be chosen among, after what was written."""
    return f"{text} {count} left to look at." if count else text


def all_dropped(count: int) -> str:
    """Say that nothing is left of what was found."""
    return f"{'1 proposal' if count == 1 else f'{count} proposals'} dropped, and nothing is left to write."


def compared(why: str, count: int, of: int, what: str) -> str:
    """Say, after why it is this plane or image, that not all of those that are left were compared."""
    return f"{why} {count} of {of} {what} were compared." if count < of else why


def why_next(name: str, doubtful: int | None, count: int, novelty: float | None) -> str:
    """Say why a plane or an image is the next to annotate.

    Parameters
    ----------
    name : str
        The plane or the image.
    doubtful : int or None
        How many of its proposals are doubtful; None where too little was decided to say.
    count : int
        How many proposals it has.
    novelty : float or None
        How unlike those that are annotated it looks, 0 to 1; None where none is annotated.
    """
    if novelty is None:
        if doubtful is None:
            return f"{name}: nothing is annotated yet, and no other has more proposals than its {count}."
        return f"{name}: {doubtful} of {count} proposals are doubtful."
    looks = "looks unlike those that are annotated" if novelty >= 0.5 else "looks much like one that is annotated"
    if doubtful is None:
        return f"{name}: it {looks}."
    return f"{name}: {doubtful} of {count} proposals are doubtful, and it {looks}."
