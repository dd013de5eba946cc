"""Results by name, such as `examples["mixed4b"]`: mappings that say what there is, where a name is unknown."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

from jaxcircuits.errors import unknown

Key = TypeVar("Key")
Value = TypeVar("Value", covariant=True)
Other = TypeVar("Other")


class Lookup(Mapping[Key, Value]):
    """Base of what is looked up by name. An unknown name is an `InputError` that offers the nearest ones."""

    @abstractmethod
    def _held(self) -> tuple[str, Mapping[Key, Value], str]:
        """What a name stands for, such as "layer"; what there is, by name; and whose it is, for the message."""

    def __getitem__(self, name: Key) -> Value:
        kind, held, whose = self._held()
        try:
            return held[name]
        except (KeyError, TypeError):  # what cannot be hashed, such as a list of names, is no name either
            raise unknown(kind, name, held, whose) from None

    @overload
    def get(self, name: Key, /) -> Value | None: ...
    @overload
    def get(self, name: Key, /, default: Other) -> Value | Other: ...
    def get(self, name: Key, /, default: object = None) -> object:
        """What there is of that name, or else `default`."""
        return self._held()[1].get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._held()[1]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._held()[1])

    def __len__(self) -> int:
        return len(self._held()[1])
