"""Named alternatives, each added by one registration and chosen once by an option."""

from collections.abc import Iterable, Iterator, Mapping
from pkgutil import resolve_name
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to alternatives of one kind, in the order of their registration.

    Args:
        kind: what the alternatives are, for messages, such as "captioner".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str, entry: T) -> T:
        """Add an alternative and return it.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind}: names must differ, found {name!r} twice")
        self._entries[name] = entry
        return entry

    def remove(self, name: str) -> None:
        """Take an alternative back, as a test does after its toy."""
        del self._entries[name]

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def check(self, name: str) -> str:
        """The name itself, if it is registered.

        Raises:
            ValueError: it is not; names those that are.
        """
        if name not in self._entries:
            raise ValueError(f"input should be one of {', '.join(self._entries)}")
        return name


def choice(registry: Registry[Any]) -> Any:
    """The type of a field that names an entry of a registry.

    Values are checked against the entries of that moment; so is a JSON schema made of them.
    """
    return Annotated[str, AfterValidator(registry.check), _Names(registry)]


class _Names:
    """The JSON schema of a registry's names."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "enum": list(self.registry)}


def names_in(metadata: Iterable[Any]) -> tuple[str, ...]:
    """The names that a field of type `choice` takes; none for a field of another type."""
    return next((tuple(item.registry) for item in metadata if isinstance(item, _Names)), ())


def resolve(target: str) -> Any:
    """The object behind `package.module:name`, imported when it is first needed."""
    return resolve_name(target)
