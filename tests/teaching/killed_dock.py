"""A session that teaches, in a process that is killed: ``python killed_dock.py``, with the folder of tests on the path.

Says "learning" on standard output once the program that teaches has said its first words.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from napari.components import ViewerModel

from fake_engine import FakeEngine
from fake_finetune import STEP, behave
from napari_sam.session import Session
from napari_sam.teaching import Teaching


def main() -> None:
    viewer = ViewerModel()
    labels = np.zeros((60, 80), np.int32)
    for index in range(9):
        y, x = (20 * at + 4 for at in divmod(index, 3))
        labels[y : y + 10, x : x + 10] = index + 1
    image = viewer.add_image(100 * (labels > 0).astype(np.uint8), name="cells")
    session = Session(viewer, engine_factory=lambda model, device, _progress: FakeEngine(model, device), image=image)
    session.target = viewer.add_labels(labels)
    teaching = Teaching(session)
    behave(teaching, "hangs")
    teaching.teach("mine", 5)
    while teaching.state.words != STEP:
        teaching._worker.deliver()
        time.sleep(0.005)
    sys.stdout.write("learning\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main()
