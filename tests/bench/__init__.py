"""The bench: ``python -m tests.bench``, or ``make bench``.

THE FIGURES NEED A QUIET MACHINE. A test run, a compiler or another engine on the same cores makes every one of them
worse, some of them twofold. Compare ratios and minima rather than medians where you can't have the machine alone, and
believe a difference only when it is there in two runs. The machine's line and the load, before and after, are printed
with the figures so that they can be judged.

Nothing here asserts: a figure that is missed prints by how much, and the exit code is 0. It works in a state and a
run directory of its own and leaves nothing behind.
"""
