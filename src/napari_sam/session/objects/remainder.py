"""What is left to do of a run that was broken off: a value that the object keeps."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_sam.planes.source import ArrayPlanes
    from napari_sam.propagation.job import PropagationJob


@dataclass(frozen=True, slots=True, eq=False)
class RunRemainder:
    """What is left to do of a run that was broken off.

    Attributes
    ----------
    job : PropagationJob
        What was to be done, with what is known by now; without the image, which may be replaced meanwhile.
    data : weakref or None
        The pixels of the image; None where they cannot be referred to.
    looks : hashable
        The line, and how its planes were seen.
    """

    job: PropagationJob
    data: weakref.ref[Any] | None
    looks: Hashable

    @classmethod
    def of(cls, job: PropagationJob) -> RunRemainder:
        """Keep what a job has not done."""
        planes = job.planes
        try:
            data = weakref.ref(planes.data)
        except TypeError:  # kinds of arrays that nothing can refer to weakly
            data = None
        return cls(replace(job, planes=replace(planes, data=None, coarser=())), data, _looks(planes))

    def job_for(self, new: PropagationJob) -> PropagationJob | None:
        """Return the job to go on with; None where the image or what was chosen changed.

        Parameters
        ----------
        new : PropagationJob
            What a run would do that starts again.
        """
        old = self.job
        same = (
            self.data is not None
            and self.data() is new.planes.data
            and self.looks == _looks(new.planes)
            and (old.span, old.model, old.device, old.strategy) == (new.span, new.model, new.device, new.strategy)
            # Prompts that were drawn since are more than what was left to do.
            and not new.asked
            and dict(old.marks) == dict(new.marks)
        )
        return replace(old, planes=new.planes) if same else None


def _looks(planes: ArrayPlanes) -> Hashable:
    index = tuple(None if axis == planes.axis else at for axis, at in enumerate(planes.index))
    return planes.axis, index, planes.contrast_limits, planes.gamma, planes.spacing
