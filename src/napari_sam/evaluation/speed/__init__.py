"""How long models take, beside the code of others with the same kinds of weights: each in a process of its own.

The parent, `measuring.py`, imports neither torch nor any model. It asks each contender in turns, by lines of JSON, and
gets seconds back: what importing and loading take, and the largest memory, are those of one contender alone.
"""
