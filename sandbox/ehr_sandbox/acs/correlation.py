"""The id by which Microsoft's support finds a call."""

from __future__ import annotations

import base64
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CorrelationVector:
    """Adds `MS-CV` to every answer, refusals included.

    Source: Communication Services, "Troubleshooting", and the recordings in the tests of the vendor's clients. Those also
    show that the service does not send `x-ms-client-request-id` back, although the clients ask for it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def marking(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"ms-cv", _new_vector())]
            await send(message)

        await self._app(scope, receive, marking)


def _new_vector() -> bytes:
    """Return a new base vector: 128 random bits in base64, and the first extension."""
    return base64.b64encode(secrets.token_bytes(16)).rstrip(b"=") + b".0"
