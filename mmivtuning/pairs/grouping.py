"""Groups of what comes one at a time."""

from typing import Any, Callable, Iterable, Iterator, List, TypeVar

Item = TypeVar('Item')


def alike(items: Iterable[Item], largest: int,
          key: Callable[[Item], Any]) -> Iterator[List[Item]]:
    """Collect items that follow each other and have one key.

    Args:
        items (Iterable): Taken one at a time, one ahead of what is yielded.
        largest (int): How many a group has at most.
        key (Callable): Of an item; batches need one size, for example.

    Yields:
        list: A group, in order, never empty.
    """
    group: List[Item] = []
    for item in items:
        if group and (len(group) == largest or key(group[0]) != key(item)):
            yield group
            group = []
        group.append(item)
    if group:
        yield group
