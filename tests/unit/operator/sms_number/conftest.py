"""Fixtures: worlds with one organisation and its Communication Services resource."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from unit.operator.sms_number.world import World


@pytest.fixture
async def start() -> AsyncGenerator[Callable[..., World]]:
    """Start worlds that are closed at the end."""
    worlds: list[World] = []

    def begin(**parts: Any) -> World:
        worlds.append(World(**parts))
        return worlds[-1]

    yield begin
    for world in worlds:
        await world.aclose()


@pytest.fixture
def world(start: Callable[..., World]) -> World:
    return start()
