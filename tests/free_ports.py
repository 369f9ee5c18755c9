"""Ports for processes that bind theirs some seconds after they were told which.

They lie below those that the system hands out by itself: any connection might hold one of those at that moment. Test processes
that run at once look in places of their own.
"""

from __future__ import annotations

import os
import socket
from itertools import cycle

_PROCESSES = 8
_FIRST, _EACH = 20000, 1500
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
_ports = cycle(range(_FIRST + _PROCESS * _EACH, _FIRST + (_PROCESS + 1) * _EACH))


def free_port() -> int:
    """Return a port that is free, and was not returned for a long time.

    Raises:
        OSError: There is none.
    """
    return free_ports_in_a_row(1)


def free_ports_in_a_row(count: int = 5) -> int:
    """Return the first of so many free ports in a row.

    Raises:
        OSError: There are none.
    """
    row: list[int] = []
    for _ in range(_EACH):
        port = next(_ports)
        row = [*row, port] if row and port == row[-1] + 1 else [port]
        if not _is_free(port):
            row = []
        elif len(row) == count:
            return row[0]
    raise OSError(f"no {count} free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("", port))
        except OSError:
            return False
    return True
