"""Dataclasses to and from JSON, and ``--set name.field=value`` overrides. Knows no field by name."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from harmovid.errors import InputError, OptionError

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass tree as plain JSON values (tuples become lists, paths become strings)."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """Build the dataclass `kind` from plain values; a field that is absent keeps its default.

    Raises:
        OptionError: a name that `kind` does not have, one without default that is absent, or a value that
            does not fit its type.
    """
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    names = [f.name for f in fields]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise OptionError(
            f"{kind.__name__} has no setting {', '.join(map(repr, unknown))}; it has {', '.join(names)}"
        )
    absent = [f.name for f in fields if f.name not in values
              and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if absent:
        raise OptionError(f"{kind.__name__} lacks {', '.join(map(repr, absent))} (no default); add it")
    return kind(**{name: _convert(hints[name], value, name) for name, value in values.items()})


def override(config: T, assignments: list[str]) -> T:
    """Return `config` with ``a.b=value`` assignments applied.

    A value is read as JSON where the setting takes what comes of that, else as plain text, so that a text
    setting can be given 2024 or true without quotes. A dataclass within it may be a list of its fields in order.

    Raises:
        OptionError: an assignment without ``=``, an unknown name, or a value of the wrong type.
    """
    tree = to_dict(config)
    for assignment in assignments:
        path, sep, text = assignment.partition("=")
        if not sep:
            raise OptionError(f"--set takes name=value, got {assignment!r}")
        *parents, leaf = path.strip().split(".")
        node, owner = tree, typing.cast(Any, config)
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                raise OptionError(f"--set {path}: there is no group {parent!r}; groups and settings here: "
                                  f"{', '.join(node)}")
            node, owner = node[parent], getattr(owner, parent, None)
        if leaf not in node:
            raise OptionError(f"--set {path}: there is no setting {leaf!r}; settings here: {', '.join(node)}")
        node[leaf] = _parse(typing.get_type_hints(type(owner)).get(leaf, object), text, leaf)
    return from_dict(type(config), tree)


def save(config: Any, path: Path) -> None:
    """Write `config` as indented JSON, whole or not at all."""
    write_whole(path, json.dumps(to_dict(config), indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text, whole or not at all, while others may write the same file.

    Processes that share the work on a folder begin and end together; each has a name of its own until it renames.
    """
    partial = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(kind: type[T], path: Path) -> T:
    """Read what `save` wrote.

    Raises:
        InputError: there is no such file, or it holds no JSON object.
        OptionError: as `from_dict`.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected settings saved as JSON") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds a JSON {type(values).__name__}; expected an object of settings")
    return from_dict(kind, values)


def _parse(hint: Any, text: str, name: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    for candidate in (value, text):
        try:
            _convert(hint, candidate, name)
        except OptionError:
            continue
        return candidate
    return value


def _by_name(kind: Any, values: list[Any]) -> dict[str, Any]:
    """The fields of a dataclass that is given as a list, in their order: shorter to type."""
    names = [f.name for f in dataclasses.fields(kind)]
    if len(values) > len(names):
        raise OptionError(f"{kind.__name__} has {len(names)} settings, {', '.join(names)}; got {len(values)} values")
    return dict(zip(names, values, strict=False))


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
    if dataclasses.is_dataclass(hint) and isinstance(value, list):
        value = _by_name(hint, value)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_dict(hint, value)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = typing.get_args(hint)
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            return tuple(_convert(kinds[0], item, name) for item in value)
        if len(kinds) == len(value):
            return tuple(_convert(kind, item, name) for kind, item in zip(kinds, value, strict=True))
    if origin is typing.Literal:
        if any(value == option and type(value) is type(option) for option in typing.get_args(hint)):
            return value  # 1 == True == 1.0 in Python, but not here
        raise OptionError(f"{name} is one of {', '.join(map(str, typing.get_args(hint)))}; got {value!r}")
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise OptionError(f"{name} takes {hint.__name__ if isinstance(hint, type) else hint}, got {value!r}")
