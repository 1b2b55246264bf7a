"""Dataclasses to and from JSON, and ``--set name.field=value`` overrides. Knows no field by name."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from harmovid.errors import OptionError

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass tree as plain JSON values (tuples become lists, paths become strings)."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """Build the dataclass `kind` from plain values; a field that is absent keeps its default.

    Raises:
        OptionError: a name that `kind` does not have, or a value that does not fit its type.
    """
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise OptionError(
            f"{kind.__name__} has no setting {', '.join(map(repr, unknown))}; it has {', '.join(names)}"
        )
    return kind(**{name: _convert(hints[name], value, name) for name, value in values.items()})


def override(config: T, assignments: list[str]) -> T:
    """Return `config` with ``a.b=value`` assignments applied; values are JSON, else plain text.

    Raises:
        OptionError: an assignment without ``=``, an unknown name, or a value of the wrong type.
    """
    tree = to_dict(config)
    for assignment in assignments:
        path, sep, text = assignment.partition("=")
        if not sep:
            raise OptionError(f"--set takes name=value, got {assignment!r}")
        *parents, leaf = path.strip().split(".")
        node = tree
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                raise OptionError(f"--set {path}: there is no group {parent!r}; groups and settings here: "
                                  f"{', '.join(node)}")
            node = node[parent]
        if leaf not in node:
            raise OptionError(f"--set {path}: there is no setting {leaf!r}; settings here: {', '.join(node)}")
        try:
            node[leaf] = json.loads(text)
        except json.JSONDecodeError:
            node[leaf] = text
    return from_dict(type(config), tree)


def save(config: Any, path: Path) -> None:
    """Write `config` as indented JSON, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(to_dict(config), indent=2) + "\n")
    partial.replace(path)


def load(kind: type[T], path: Path) -> T:
    """Read what `save` wrote."""
    return from_dict(kind, json.loads(path.read_text()))


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        rest = [option for option in options if option is not type(None)]
        for option in rest:
            try:
                return _convert(option, value, name)
            except OptionError:
                if option is rest[-1]:
                    raise
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_dict(hint, value)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = typing.get_args(hint)
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            return tuple(_convert(kinds[0], item, name) for item in value)
        if len(kinds) == len(value):
            return tuple(_convert(kind, item, name) for kind, item in zip(kinds, value))
    if origin is typing.Literal:
        if value in typing.get_args(hint):
            return value
        raise OptionError(f"{name} is one of {', '.join(map(str, typing.get_args(hint)))}; got {value!r}")
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise OptionError(f"{name} takes {getattr(hint, '__name__', hint)}, got {value!r}")
