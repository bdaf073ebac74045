"""What runs in a contender's process: one class for each package, all with the methods of `protocol.Subject`.

Packages are imported when `Subject.start` is called, so that it can be timed.
"""
