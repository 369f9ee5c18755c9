"""What was read a moment ago, so that a page that is loaded again asks the EHR once. In memory, bounded in time and number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_MAX = 2000


class Recent(Generic[_Key, _Value]):
    """Remembers values for a few seconds."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._values: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()

    async def get(self, key: _Key, read: Callable[[], Awaitable[_Value]]) -> _Value:
        """Return the value of `key`, read if it is not recent; what `read` raises is not remembered."""
        now = self._monotonic()
        while self._values and (len(self._values) > _MAX or next(iter(self._values.values()))[0] <= now):
            self._values.popitem(last=False)
        known = self._values.get(key)
        if known is not None:
            return known[1]
        value = await read()
        self._values[key] = (self._monotonic() + self._seconds, value)
        self._values.move_to_end(key)
        return value
