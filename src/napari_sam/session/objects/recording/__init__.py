"""What the person accepts is written into their labels, and told to the journal."""

from napari_sam.session.objects.recording.describing import account, describe, describe_layer
from napari_sam.session.objects.recording.recorder import ObjectRecorder
from napari_sam.session.objects.recording.writing import Outcome, WriteOrder, note_origin, write_candidate

__all__ = [
    "ObjectRecorder",
    "Outcome",
    "WriteOrder",
    "account",
    "describe",
    "describe_layer",
    "note_origin",
    "write_candidate",
]
