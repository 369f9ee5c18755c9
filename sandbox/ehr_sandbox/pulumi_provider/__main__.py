"""`python -m ehr_sandbox.pulumi_provider`: what the engine runs; it reads the port from the first line."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from ehr_sandbox.pulumi_provider.provider import StandInProvider
from ehr_sandbox.pulumi_provider.world import World

STATE_FILE = "EHR_SANDBOX_AZURE"
"""Environment variable with the file in which the stand-in keeps its Azure."""

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit."""


def main() -> None:
    """Serve until the engine ends this process."""
    state_file = os.environ.get(STATE_FILE)
    if state_file is None:
        sys.exit(f"This is a stand-in for pulumi-resource-azure-native; {STATE_FILE} must name the file of its state.")
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8),
        options=[("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(StandInProvider(World(Path(state_file))), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 (the engine reads it)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
