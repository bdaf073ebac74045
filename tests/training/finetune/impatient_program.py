"""The real `napari-sam`, but for a checkpoint and a line of the log after every step, and a short run.

``python impatient_program.py train finetune ...``; SAVE_EVERY, a variable, has the seconds between checkpoints.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam.__main__ import main
from napari_sam.training.finetune import learning

if TYPE_CHECKING:
    from napari_sam.training.config import TrainingConfig

STEPS = int(os.environ.get("STEPS", "12"))
_plain = learning.training_config


def impatient(*arguments: Any) -> TrainingConfig:
    return replace(_plain(*arguments), steps=STEPS, save_every=float(os.environ.get("SAVE_EVERY", "0")), log_every=1)


if __name__ == "__main__":
    learning.training_config = impatient
    main()
