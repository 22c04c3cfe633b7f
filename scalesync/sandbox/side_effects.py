"""What really happened, counted object by object, whatever the client was told."""

from collections import Counter
from collections.abc import Callable, Iterator

Record = Callable[[str, str, str, int], None]
"""Notes that the count of one effect on one object (kind, name, effect) is now so much."""


class Effects:
    """How often each object was created, finalized, canceled or versioned.

    Kinds are `task` (by task_id), `unique_id` (the same effects under the unique_id that the task was
    created with), `batch` and `project` (by name).
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.record: Record | None = None

    def add(self, kind: str, name: str, effect: str) -> None:
        """Count one more `effect` on the object."""
        self._counts[kind, name, effect] += 1
        if self.record is not None:
            self.record(kind, name, effect, self._counts[kind, name, effect])

    def restore(self, kind: str, name: str, effect: str, count: int) -> None:
        """Set a count to what an earlier process left."""
        self._counts[kind, name, effect] = count

    def count(self, kind: str, name: str, effect: str) -> int:
        """Return how often the object saw the effect; 0 if never."""
        return self._counts[kind, name, effect]

    def __iter__(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield (kind, name, effect, count)."""
        for (kind, name, effect), count in self._counts.items():
            yield kind, name, effect, count

    def as_dict(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts as kind -> name -> effect -> count."""
        tree: dict[str, dict[str, dict[str, int]]] = {}
        for kind, name, effect, count in self:
            tree.setdefault(kind, {}).setdefault(name, {})[effect] = count
        return tree
