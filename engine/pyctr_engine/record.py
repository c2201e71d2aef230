"""Frozen, slotted dataclasses that cost nothing to define.

``@dataclass(frozen=True, slots=True)`` compiles half a dozen functions for each class, about 1 ms, and importing
``dataclasses`` takes ``inspect`` along, 10 ms: on the way of ``run`` and ``ps`` that was half of a call. The
decorator here is used in the same words and type-checked as the same thing, but shares plain functions between
classes. What it makes also works with the standard functions (``fields``, ``asdict``, ``replace``, ``is_dataclass``):
they find the standard library's own description, which is made when they first ask for it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs 8 ms
if TYPE_CHECKING:
    from dataclasses import asdict as asdict
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:

    class _Factory:
        __slots__ = ("make",)

        def __init__(self, make):
            self.make = make

    def field(*, default_factory):
        """A field whose default is made anew for each object."""
        return _Factory(default_factory)

    def replace(record, /, **changes):
        """A copy with some fields changed."""
        cls = type(record)
        if _DEFAULTS not in vars(cls):
            import dataclasses

            return dataclasses.replace(record, **changes)
        for name in cls.__match_args__:
            if name not in changes:
                changes[name] = getattr(record, name)
        return cls(**changes)

    def asdict(record):
        """A record's fields, and those of the records in them, as plain values; what isn't a record is not copied."""
        return {name: _plain(getattr(record, name)) for name in record.__match_args__}

    def _plain(value):
        if isinstance(value, (tuple, list)):
            return type(value)([_plain(item) for item in value])
        return asdict(value) if _DEFAULTS in type(value).__dict__ else value

    def dataclass(*, frozen, slots):
        """Make a class of annotated fields a record; only frozen and slotted ones can be had."""
        if not (frozen and slots):
            raise TypeError("only frozen and slotted records; for others there is the standard library's dataclass")
        return _make

    _DEFAULTS = "__record_defaults__"

    class _Methods:
        """What records share; `_values` is their fields' values in order."""

        __slots__ = ()

        def __repr__(self):
            inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
            return f"{type(self).__qualname__}({inside})"

        def __eq__(self, other):
            return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

        def __hash__(self):
            return hash(_values(self))

        def __setattr__(self, name, value):
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name):
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot delete field {name!r}")

        def __reduce__(self):
            return type(self), _values(self)

    _METHODS = ("__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__reduce__")

    def _values(record):
        return tuple([getattr(record, name) for name in record.__match_args__])

    def _make(cls):
        names = tuple(vars(cls).get("__annotations__", ()))
        namespace = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        defaults = {name: namespace.pop(name) for name in names if name in namespace}
        for name in _METHODS:
            if namespace.get(name) is None:  # a class body with an __eq__ of its own sets __hash__ to None
                namespace[name] = vars(_Methods)[name]
        namespace |= {"__slots__": names, "__match_args__": names, "__qualname__": cls.__qualname__}
        namespace |= {_DEFAULTS: defaults, "__dataclass_fields__": _Description()}
        made = type(cls)(cls.__name__, cls.__bases__, namespace)
        made.__init__ = _initialiser(cls.__name__, names, defaults, [vars(made)[name].__set__ for name in names])
        return made

    def _initialiser(owner, names, defaults, setters):
        def initialise(self, /, *values, **named):
            given = len(values)
            for put, value in zip(setters, values, strict=False):
                put(self, value)
            if given < len(names):
                for name, put in zip(names[given:], setters[given:], strict=True):
                    if name in named:
                        value = named.pop(name)
                    elif name in defaults:
                        value = defaults[name]
                        if type(value) is _Factory:
                            value = value.make()
                    else:
                        raise TypeError(f"{owner}() needs {name!r}")
                    put(self, value)
            if named or given > len(names):
                what = f"twice or unknown: {', '.join(named)}" if named else f"{given} values"
                raise TypeError(f"{owner}({', '.join(names)}) was given {what}")

        return initialise

    class _Description:
        """Stands in a record's class for what the standard library keeps there, until somebody looks."""

        def __get__(self, record, owner):
            import dataclasses

            described = []
            for name, kind in owner.__annotations__.items():
                default = getattr(owner, _DEFAULTS).get(name, dataclasses.MISSING)
                if type(default) is _Factory:
                    described.append((name, kind, dataclasses.field(default_factory=default.make)))
                else:
                    described.append((name, kind, dataclasses.field(default=default)))
            shadow = dataclasses.make_dataclass(owner.__name__, described)
            owner.__dataclass_fields__ = shadow.__dataclass_fields__
            return owner.__dataclass_fields__
