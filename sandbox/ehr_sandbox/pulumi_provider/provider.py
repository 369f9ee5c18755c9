"""The provider's side of Pulumi's protocol: check, compare, record, return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from ehr_sandbox.pulumi_provider.computed import computed, foreseen
from ehr_sandbox.pulumi_provider.input_types import UNKNOWN, UnknownTypeError, problems
from ehr_sandbox.pulumi_provider.resource_ids import NoIdError, name_inputs, resource_id
from ehr_sandbox.pulumi_provider.world import Recorded, World

_FIXED = frozenset({"location", "dataLocation"})
"""Inputs that Azure never changes in place, besides names."""


class StandInProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Records instead of building."""

    def __init__(self, world: World) -> None:
        self._world = world

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Any) -> plugin_pb2.PluginInfo:  # noqa: N802 (the protocol's names)
        """The version; the engine asks for one."""
        return plugin_pb2.PluginInfo(version="3.29.0")

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:  # noqa: N802
        """Take any configuration: there is no Azure to sign in to."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:  # noqa: N802
        """Find no difference between configurations."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: provider_pb2.ConfigureRequest, context: Any) -> provider_pb2.ConfigureResponse:  # noqa: N802
        """Say what is supported: previews; the engine keeps track of secrets."""
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Check(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:  # noqa: N802
        """Refuse inputs that the SDK's types do not know, and names that are not given."""
        token, inputs = _token(request.urn), _plain(request.news)
        try:
            found = [(problem.path, problem.reason) for problem in problems(token, inputs)]
            resource_id(token, inputs)
        except (UnknownTypeError, NoIdError) as error:
            found = [("", str(error))]
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                provider_pb2.CheckFailure(property=path, reason=f"{path} {reason}".strip()) for path, reason in found
            ],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:  # noqa: N802
        """Compare the inputs of before with those of now, whatever the outputs are."""
        before, now = _plain(request.old_inputs), _plain(request.news)
        ignored = set(request.ignoreChanges)
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        changed = [key for key in changed if key not in ignored]
        fixed = name_inputs(_token(request.urn)) | _FIXED
        replaces = [key for key in changed if key in fixed and before.get(key) != UNKNOWN != now.get(key)]
        kind = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=kind.DIFF_SOME if changed else kind.DIFF_NONE,
            diffs=changed,
            replaces=replaces,
            # Names are ours, so the new one could not stand beside the old one.
            deleteBeforeReplace=bool(replaces),
        )

    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:  # noqa: N802
        """Record the resource; one that is there already is an error, as with Azure."""
        token, inputs = _token(request.urn), _plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=_struct(foreseen(token, inputs)))
        key = resource_id(token, inputs)
        added = computed(token, key, inputs)
        with self._world.changed() as resources:
            if key in resources:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"cannot create already existing resource '{key}'")
            group = "/".join(key.split("/")[:5])
            if key != group and group not in resources:
                context.abort(grpc.StatusCode.NOT_FOUND, f"ResourceGroupNotFound: '{group}'")
            resources[key] = Recorded(token, inputs, added)
        return provider_pb2.CreateResponse(id=key, properties=_struct({**inputs, **added}))

    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:  # noqa: N802
        """Return what is stored, which need not be what Pulumi remembers; nothing when it is gone."""
        found = self._world.read().get(request.id)
        if found is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=_struct({**found.inputs, **found.computed}),
            inputs=_struct(found.inputs),
        )

    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:  # noqa: N802
        """Record the new inputs."""
        inputs = _plain(request.news)
        token = _token(request.urn)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct({**inputs, **computed(token, request.id, inputs)}))
        added = computed(token, request.id, inputs)
        with self._world.changed() as resources:
            if request.id not in resources:
                context.abort(grpc.StatusCode.NOT_FOUND, f"ResourceNotFound: '{request.id}'")
            resources[request.id] = Recorded(token, inputs, added)
        return provider_pb2.UpdateResponse(properties=_struct({**inputs, **added}))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> empty_pb2.Empty:  # noqa: N802
        """Forget the resource and what is inside it; one that is gone already is no error. A lock is obeyed."""
        with self._world.changed() as resources:
            inside = [key for key in resources if key == request.id or key.startswith(f"{request.id}/")]
            locks = [key for key in inside if "/providers/Microsoft.Authorization/locks/" in key]
            if locks and request.id not in locks:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"ScopeLocked: {', '.join(locks)}")
            for key in inside:
                del resources[key]
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: Any) -> empty_pb2.Empty:  # noqa: N802
        """There is nothing under way that could be cut short."""
        return empty_pb2.Empty()


def _token(urn: str) -> str:
    """The type in a URN, without those of the components around it."""
    return urn.split("::")[2].rpartition("$")[2]


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    return MessageToDict(struct)


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct
