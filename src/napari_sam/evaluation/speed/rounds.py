"""Turns: whatever else the machine does falls on all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


def take_turns(
    players: Sequence[T], rounds: int, play: Callable[[T], R | None], *, warm_up: bool = True
) -> dict[T, list[R]]:
    """Have each do its work in each round, one after the other, and every second round in the opposite order.

    Parameters
    ----------
    players : sequence
    rounds : int
        What counts; one more is played before where there is a warm-up.
    play : callable
        Does the work of one; None if it cannot: it is not asked again, and what it did before is kept.
    warm_up : bool
        Whether a round that does not count comes first.

    Returns
    -------
    dict
        For each player what `play` returned, a result for each round.
    """
    results: dict[T, list[R]] = {player: [] for player in players}
    left = list(players)
    for number in range(-1 if warm_up else 0, rounds):
        for player in left[:: 1 if number % 2 == 0 else -1]:
            result = play(player)
            if result is None:
                left.remove(player)
            elif number >= 0:
                results[player].append(result)
    return results
