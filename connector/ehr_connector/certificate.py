"""The server's certificate, taken anew when its files change: cert-manager renews it while the process runs."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

_State = Sequence[tuple[Path, int, int] | None]


class Certificate:
    """Chain and key of a context. Handshakes from a change on show the new ones; connections that stand go on."""

    def __init__(self, context: ssl.SSLContext, chain: str, key: str) -> None:
        """Take over a context that has loaded these files already."""
        self._context = context
        self._files = (chain, key)
        self._seen = self._state()
        self._refused: _State | None = None

    async def keep(self, look_s: float) -> None:
        """Look at the files now and then, for ever."""
        while True:
            await asyncio.sleep(look_s)
            self._renew()

    def _renew(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        # A Secret in a pod is a link to a folder, and the link is changed: one look at it, so that both files are of one state.
        chain, key = (os.path.realpath(file) for file in self._files)
        try:
            # What does not fit together must not get into the context that serves.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
            self._context.load_cert_chain(chain, key)
        except (OSError, ssl.SSLError) as exc:
            if state != self._refused:
                _log.warning("the new certificate cannot be used, the former one is kept: %s", exc)
            self._refused = state
            return
        self._seen = state
        _log.info("the certificate was renewed")

    def _state(self) -> _State:
        return [_state_of(file) for file in self._files]


def _state_of(file: str) -> tuple[Path, int, int] | None:
    path = Path(os.path.realpath(file))
    try:
        found = path.stat()
    except OSError:
        return None
    return path, found.st_ino, found.st_mtime_ns
