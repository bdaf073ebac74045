"""A worker without a thread: the test says when work begins, ends and is delivered."""

from __future__ import annotations

import time

from napari_sam.inference.worker import Worker


class SteppedWorker(Worker):
    """The real queue and its rules; `begin`, `finish` and `deliver` do what the thread and the event loop do."""

    def __init__(self, post=None):
        super().__init__(None)
        self.begun = None

    def _start(self):
        pass

    def begin(self):
        """Begin the work whose turn it is, unless other work is under way; tell whether there was any."""
        if self.begun is None and self._waiting:
            for ticket in self._waiting:
                ticket.not_before = 0.0  # nobody waits for a clock
            self.begun = self._take()
        return self.begun is not None

    def finish(self):
        """End the work that was begun; its answer is not delivered yet."""
        ticket, self.begun = self.begun, None
        if ticket is not None:
            self._execute(ticket)

    def step(self):
        """Do one piece of work and deliver what came of it; tell whether there was any."""
        if there := self.begin():
            self.finish()
            self.deliver()
        return there

    def wait(self, timeout=None):
        deadline = time.monotonic() + (20 if timeout is None else timeout)
        self.deliver()
        while self.step():
            assert time.monotonic() < deadline
        return True
