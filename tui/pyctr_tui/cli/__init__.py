"""The command line: docker's grammar for what docker has, docker compose's for stacks.

``main`` is small and imports almost nothing; each command's module is imported when it is called. What a module of
this room may import at its top: the standard library's light half, ``pyctr_engine.errors`` and ``model``.
"""
