"""Kopf watches: it brings every object of our kinds, first those that exist, then each change, in a thread of its own.

The thread keeps Kopf's tasks and signal handlers apart from ours; bodies cross over to the loop that reconciles. Nothing
of Kopf's own bookkeeping is used, so nothing of it stands on the objects.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import kopf

from ehr_api.meta import GROUP, VERSION
from ehr_operator.runtime.bodies import without_managers
from ehr_operator.runtime.crossing import Crossing
from ehr_operator.runtime.login import connection_info
from ehr_operator.runtime.model import Body

_log = logging.getLogger(__name__)

Deliver = Callable[[str, Body], None]
"""Takes the kind and the body."""

_ERROR_PAUSES_S = (1, 1, 2, 3, *(5,) * 120)
"""Kopf bears an API server that fails for ten minutes, and is back seconds after it is; then the process is started anew."""
_STOP_LIMIT_S = 10.0
_CLOSING_S = 0.5


class Watch:
    """The watches of all kinds."""

    def __init__(self, plurals: Mapping[str, str], seen: Deliver, gone: Deliver) -> None:
        """`plurals` gives the resource name of each kind; `seen` and `gone` are called in the loop that starts the watch."""
        self._plurals = plurals
        self._seen = seen
        self._gone = gone
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether the watches run."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> asyncio.Future[None]:
        """Begin; the future ends with the watches, and holds the error that ended them."""
        loop = asyncio.get_running_loop()
        self._ended = ended = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop, ended), name="kopf", daemon=True)
        self._thread.start()
        return ended

    async def stop(self) -> None:
        """End the watches."""
        self._stop.set()
        if self._ended is not None:
            with suppress(TimeoutError, Exception):
                await asyncio.wait_for(asyncio.shield(self._ended), _STOP_LIMIT_S)

    def _run(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        error: Exception | None = None
        try:
            asyncio.run(self._watch(loop))
        except Exception as exc:  # noqa: BLE001 (handed over to the loop that awaits it)
            error = exc
        if error is None and not self._stop.is_set():
            error = RuntimeError("the watches ended by themselves")

        def end() -> None:
            if not ended.done():
                ended.set_result(None) if error is None else ended.set_exception(error)

        with suppress(RuntimeError):  # the loop is closed: nobody awaits us any more
            loop.call_soon_threadsafe(end)

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        await kopf.operator(
            registry=self._registry(loop),
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            stop_flag=self._stop,
        )
        # Kopf does not wait for the server's side of the end of TLS: without a moment more, sockets would be left open.
        await asyncio.sleep(_CLOSING_S)

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        library: Any = kopf  # its decorators have no types that strict checking could follow

        @library.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:  # pyright: ignore[reportUnusedFunction]  (Kopf calls it)
            return await connection_info()

        crossing = Crossing(loop)
        for kind, plural in self._plurals.items():
            self._register(registry, crossing, kind, plural)
        return registry

    def _register(self, registry: kopf.OperatorRegistry, crossing: Crossing, kind: str, plural: str) -> None:
        library: Any = kopf

        @library.on.event(GROUP, VERSION, plural, registry=registry, id=f"take in {plural}")
        async def take_in(event: Mapping[str, Any], **_: Any) -> None:  # pyright: ignore[reportUnusedFunction]  (Kopf calls it)
            deliver = self._gone if event["type"] == "DELETED" else self._seen
            crossing.put(partial(deliver, kind, without_managers(event["object"])))


def _settings() -> kopf.OperatorSettings:
    """Return settings by which Kopf watches and does nothing else."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 290
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _ERROR_PAUSES_S
    settings.process.ultimate_exiting_timeout = _STOP_LIMIT_S
    return settings
