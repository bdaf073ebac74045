"""A large object and two small ones, on the picture of the session's tests."""

from __future__ import annotations

from found_objects import disc

LARGE, SMALL, OTHER = disc(20, 20, 12), disc(40, 60, 4), disc(10, 60, 5)
