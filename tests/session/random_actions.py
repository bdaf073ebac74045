"""Actions at random: drawn from a seed, played until something is wrong, and shortened to what is needed for it."""

from __future__ import annotations

import random

from known_answers import PureEngine
from person import WEIGHTS, Person

SHORTENING = 6000
"""Actions that are tried at most to find a shorter list that fails."""


def at_random(seed, count):
    """What a person does: names of actions, each with the number that holds its choices."""
    chance = random.Random(seed)
    names = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [(name, chance.randrange(2**16)) for name in names]


def failure(actions, active, engine=PureEngine):
    """Do some actions; return the number of the one after which something is wrong, and what; None when all is well."""
    person = Person(engine(), active)
    try:
        for number, action in enumerate(actions):
            try:
                person.act(*action)
            except Exception as error:
                return number, error
    finally:
        person.close()
    return None


def shortened(actions, active, error):
    """Leave out what is not needed to fail in the same way."""
    left, size = SHORTENING, len(actions) // 2
    while size and left > 0:
        start = 0
        while start < len(actions) - 1 and left > 0:
            fewer = actions[:start] + actions[min(start + size, len(actions) - 1) :]
            left -= len(fewer)
            found = failure(fewer, active)
            if found is not None and type(found[1]) is type(error):
                actions = fewer[: found[0] + 1]
            else:
                start += size
        size //= 2
    return actions


def report(seed, count):
    """Play the actions of a seed; return what went wrong and how to see it again, "" when all is well."""
    actions = at_random(seed, count)
    found = failure(actions, seed)
    if found is None:
        return ""
    number, error = found
    few = shortened(actions[: number + 1], seed, error)
    return f"seed {seed}, action {number}: {error!r}\nfailure({few!r}, {seed}) fails, too"
