"""Public names of a package that are imported when they are first used, because torch takes a second to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def late(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package, which imports a name when it is first used.

    Args:
        package: the name of the package.
        homes: for each module of the package, the names that it defines, separated by spaces. An empty string stands
            for the module itself.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}

    def get(name: str) -> object:
        if homes.get(name) == "":
            return import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return get
