"""The program of one contender: lines of JSON in, lines of JSON with seconds out.

``python -m napari_sam.evaluation.speed.contender NAME --folder FOLDER`` imports nothing but what it needs, so that its
times and its memory are those of the package that it measures. "machine" measures the machine, "inputs" writes what
the others are given.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.evaluation.speed.contenders import CONTENDERS
from napari_sam.evaluation.speed.subjects.protocol import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.evaluation.speed.subjects.protocol import Subject

Request = dict[str, Any]
Answer = dict[str, Any]


class SubjectTasks:
    """The tasks of a package that is measured.

    Parameters
    ----------
    subject : Subject
    place : Place
    threads : int, optional
        Of torch; None leaves its own choice.
    since : float
        When the process was started, seconds as `time.time` gives them.
    """

    def __init__(self, subject: Subject, place: Place, threads: int | None, since: float) -> None:
        self._subject, self._place, self._threads, self._since = subject, place, threads, since
        self._images: dict[str, NDArray[np.uint8]] = {}
        self.tasks: dict[str, Callable[[Request], Answer]] = {
            "fresh": self._fresh,
            "start": self._start,
            "embed": self._embed,
            "predict": self._predict,
            "predict_many": self._predict_many,
            "everything": self._everything,
            "answers": self._answers,
            "walk": self._walk,
        }

    def __call__(self, request: Request) -> Answer:
        """Do what is asked."""
        given = {key: value for key, value in request.items() if key != "task"}
        name = request["task"]
        if name in self.tasks:
            return self.tasks[name](given)
        if "image" in given:
            given["image"] = self._image(given)
        return self._subject.untimed[name](**given)

    def _seconds(self, work: Callable[[], object]) -> float:
        from napari_sam.evaluation.speed.subjects.arithmetic import synchronise

        synchronise(self._place.device)
        start = time.perf_counter()
        work()
        synchronise(self._place.device)
        return time.perf_counter() - start

    def _image(self, request: Request) -> NDArray[np.uint8]:
        import numpy as np

        path = request["image"]
        if path not in self._images:
            # Only the latest: the memory of others would be counted, too.
            self._images = {path: np.load(path)}
        return self._images[path]

    def _begin(self) -> tuple[float, float]:
        """Import and load; return the seconds of both."""
        start = time.perf_counter()
        self._subject.start()
        imported = time.perf_counter() - start
        from napari_sam.evaluation.speed.subjects.arithmetic import use_threads

        use_threads(self._threads)
        return imported, self._seconds(self._subject.load)

    def _start(self, request: Request) -> Answer:
        imported, loaded = self._begin()
        return {"import": imported, "load": loaded}

    def _fresh(self, request: Request) -> Answer:
        """Give the first mask of this process, and say what each step took."""
        imported, loaded = self._begin()
        embedded = self._embed(request)["seconds"]
        predicted = self._seconds(lambda: self._subject.predict(request["point"]))
        return {
            "import": imported,
            "load": loaded,
            "embed": embedded,
            "predict": predicted,
            # The interpreter's start is a part of what a person waits for.
            "first mask": time.time() - self._since,
            "peak memory": peak_memory(),
        }

    def _embed(self, request: Request) -> Answer:
        image = self._image(request)
        return {"seconds": self._seconds(lambda: self._subject.embed(image))}

    def _predict(self, request: Request) -> Answer:
        return {"seconds": self._seconds(lambda: self._subject.predict(request["point"]))}

    def _predict_many(self, request: Request) -> Answer:
        return {"seconds": self._seconds(lambda: self._subject.predict_many(request["points"]))}

    def _everything(self, request: Request) -> Answer:
        image, found = self._image(request), []
        return {
            "seconds": self._seconds(lambda: found.append(self._subject.everything(image, request["side"]))),
            "count": found[0],
        }

    def _answers(self, request: Request) -> Answer:
        """Answer some points, and write masks and logits to a file."""
        import numpy as np

        self._subject.embed(self._image(request))
        masks, logits = zip(*(self._subject.answers(point) for point in request["points"]), strict=True)
        np.savez(request["path"], masks=np.stack(masks), logits=np.stack(logits))
        return {}

    def _walk(self, request: Request) -> Answer:
        from napari_sam.evaluation.speed.subjects.ours import OurSam

        subject, image = self._subject, self._image(request)
        if not isinstance(subject, OurSam):
            raise TypeError("only ours is asked about stacks")
        seconds = self._seconds(lambda: subject.walk(request["planes"], image))
        return {"seconds": seconds, "peak memory": peak_memory()}


def machine_tasks(place: Place, threads: int | None) -> Callable[[Request], Answer]:
    """Return what measures the machine."""
    from napari_sam.evaluation.speed.subjects import arithmetic

    used = arithmetic.use_threads(threads)

    def answer(request: Request) -> Answer:
        import torch

        return {
            "flops": arithmetic.matrix_rate(place.device),
            "bandwidth": arithmetic.bandwidth(place.device),
            "threads": used,
            "torch": torch.__version__,
            "device": _device_words(place.device),
        }

    return answer


def _device_words(device: str) -> str:
    from napari_sam.device import choose_device, describe_device

    return describe_device(choose_device(device))


def input_tasks(place: Place) -> Callable[[Request], Answer]:
    """Return what writes images and weights."""
    from napari_sam.device import choose_device
    from napari_sam.evaluation.speed.subjects import inputs

    def answer(request: Request) -> Answer:
        inputs.write_images(place.folder, request["sides"])
        for family in request["families"]:
            inputs.write_weights(place.folder, family)
        # An error here is one before hours of work.
        return {"device": str(choose_device(place.device))}

    return answer


def peak_memory() -> int | None:
    """Most bytes of memory that this process ever held; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage, which counts what the parent held when it made this process.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def serve(answer: Callable[[Request], Answer], lines: Iterable[str], write: Callable[[str], object]) -> None:
    """Answer lines until there are no more; what fails is answered with the error's words."""
    for line in lines:
        try:
            result: Mapping[str, Any] = answer(json.loads(line))
        except Exception as error:
            # Other packages raise whatever they like; the others are measured all the same.
            result = {"error": f"{type(error).__name__}: {error}"}
        write(json.dumps(result) + "\n")


def tasks_of(name: str, place: Place, threads: int | None, since: float) -> Callable[[Request], Answer]:
    """Return what answers for a contender, the machine or the inputs."""
    if name == "machine":
        return machine_tasks(place, threads)
    if name == "inputs":
        return input_tasks(place)
    [contender] = [one for one in CONTENDERS if one.name == name]
    module, _, subject = contender.subject.partition(":")
    place = Place(contender.family, place.folder, place.device, contender.module)
    made = getattr(import_module(f"napari_sam.evaluation.speed.subjects.{module}"), subject)(place)
    return SubjectTasks(made, place, threads, since)


def main() -> None:
    """Read the command line, and answer until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--since", type=float, default=time.time())
    given = parser.parse_args()
    # What packages print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write(line: str) -> None:
        answers.write(line)
        answers.flush()

    place = Place("", given.folder, given.device)
    serve(tasks_of(given.name, place, given.threads, given.since), sys.stdin, write)


if __name__ == "__main__":
    main()
