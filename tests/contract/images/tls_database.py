"""A server that speaks PostgreSQL as far as TLS goes, and then hangs up."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import trustme

_SSL_REQUEST_BYTES = 8


@contextmanager
def tls_database(authority: trustme.CA) -> Iterator[int]:
    """Run it with a certificate of the authority for `localhost`; yield its port.

    Source: PostgreSQL documentation, "Message Flow", "SSL Session Encryption".
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["postgresql"])
    authority.issue_cert("localhost").configure_cert(context)

    class Session(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(_SSL_REQUEST_BYTES, 0x100)  # MSG_WAITALL
            self.request.sendall(b"S")
            try:
                with context.wrap_socket(self.request, server_side=True) as session:
                    session.recv(1024)
            except OSError:
                return  # the client refused our certificate

    with socketserver.ThreadingTCPServer(("localhost", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
