"""Teach a model what was labelled in a session, in a process of its own: the window stays free.

`Teaching` gathers the labels, runs ``napari-sam train finetune`` on them and tells how it goes.
"""

from napari_sam.teaching.state import TeachingState
from napari_sam.teaching.teaching import Teaching

__all__ = ["Teaching", "TeachingState"]
