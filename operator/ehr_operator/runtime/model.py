"""The contract between the runtime and a kind: an observed object goes in, an outcome comes out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ehr_api.conditions import Finding
from ehr_api.meta import ApiModel, KindStatus

SpecT = TypeVar("SpecT", bound=ApiModel)
StatusT = TypeVar("StatusT", bound=KindStatus)

Body = Mapping[str, Any]
"""A custom resource as the API server sends it."""


class Key(NamedTuple):
    """Names one object; it sorts and hashes."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Object(Generic[SpecT, StatusT]):
    """A custom resource, parsed."""

    key: Key
    uid: str
    generation: int
    resource_version: str
    annotations: Mapping[str, str]
    deleting: bool
    spec: SpecT
    status: StatusT
    body: Body = field(repr=False)

    def with_status(self, status: StatusT) -> Object[SpecT, StatusT]:
        """Return the object as it would stand with another status."""
        return replace(self, status=status)


def parse_object(kind: str, body: Body, spec_type: type[SpecT], status_type: type[StatusT]) -> Object[SpecT, StatusT]:
    """Return a body of the API server as a typed object.

    Raises:
        pydantic.ValidationError: The spec or status is not what this version of the operator understands.
    """
    metadata: Mapping[str, Any] = body["metadata"]
    return Object(
        key=Key(kind, metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        annotations=metadata.get("annotations", {}),
        deleting="deletionTimestamp" in metadata,
        spec=spec_type.model_validate(body["spec"]),
        status=status_type.model_validate(body.get("status", {})),
        body=body,
    )


class ConflictError(Exception):
    """Somebody changed or removed the object: drop the work and start again from what stands now."""


class TryLaterError(Exception):
    """Somebody else is at it: look again in a moment, and leave status as it is."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again in {after_s:g} s")
        self.after_s = after_s


class State(StrEnum):
    """The one abnormal or normal state of an object (kstatus): exactly one of these conditions is True."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    """Not there yet; it will be tried again, or something that is awaited will wake it."""
    STALLED = "Stalled"
    """No automatic retry will help: somebody must change something."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses after failures: they double from `base_s` up to `max_s`; each is between half and all of that."""

    base_s: float
    max_s: float


FREE = Backoff(base_s=2.0, max_s=15 * 60.0)
"""For calls that cost nothing."""
PAID = Backoff(base_s=60.0, max_s=6 * 3600.0)
"""For calls that spend money or a small quota."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The attempt failed and is repeated after a pause, which stands in `status.retry` and survives a restart."""

    backoff: Backoff = FREE
    retry_after_s: float | None = None
    """The remote system's own word, at least this long."""


@dataclass(frozen=True, slots=True)
class Note:
    """A Kubernetes Event beyond those for changed conditions."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Outcome(Generic[StatusT]):
    """What one reconcile found and did.

    The runtime turns it into status (`observedGeneration`, conditions, `lastHandledReconcileAt`, `retry`), writes that
    only when it differs, posts Events for conditions that changed, and plans the next reconcile.
    """

    state: State
    reason: str
    message: str
    """Together the `Ready` condition, and `Reconciling` or `Stalled` with the same words."""
    findings: tuple[Finding, ...]
    """The kind's own conditions, all of them, in the order in which they are shown."""
    status: StatusT
    """The kind's own status fields; what `KindStatus` declares is overwritten by the runtime."""
    requeue_after_s: float | None = None
    """When to look again although nothing changed; jitter is the kind's. None: the periodic re-list only."""
    failure: Failure | None = None
    wake: tuple[Key, ...] = ()
    """Objects to reconcile now, since what they wait for may have happened."""
    notes: tuple[Note, ...] = ()
    warning: bool | None = None
    """Whether the Event of a changed summary is a Warning; None: where a failure or a dead end is told, or `Ready` is lost
    although nobody changed the spec."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object, as others see it."""

    kind: str
    before: Body | None
    """None: it is new."""
    after: Body | None
    """None: it is gone."""


@dataclass(frozen=True, slots=True)
class Finalized:
    """Nothing outside the cluster needs the object any more: its finalizer goes."""

    notes: tuple[Note, ...] = ()


class Kind(Protocol[SpecT, StatusT]):
    """What the runtime needs of a kind."""

    kind: str
    plural: str
    spec_type: type[SpecT]
    status_type: type[StatusT]
    finalizer: str | None
    """Set on every object before the first reconcile; None when nothing outside has to be cleaned up."""
    workers: int
    """Objects of this kind that are reconciled at a time."""
    min_interval_s: float
    """Pause between two reconciles of one object: changes that come meanwhile are taken together."""
    indexes: tuple[str, ...]
    """Fields by which objects of this kind are found, as dotted paths such as `spec.configRef.name`."""

    def signal(self, body: Body) -> Hashable:
        """Return what other objects look at; while it stays equal, `related` objects are not woken."""
        ...

    def may_go(self, body: Body) -> bool:
        """Return whether nothing outside belongs to an object whose spec cannot be read, so that its deletion is let pass."""
        ...

    def related(self, body: Body) -> Iterable[Key]:
        """Return the objects that look at this one."""
        ...

    def mended_by(self, change: Change) -> bool:
        """Return whether a change of an object that is related may have mended what objects of this kind failed on.

        Only then it lifts their back-off; their own spec and a new `requestedAt` always do.
        """
        ...

    async def reconcile(self, obj: Object[SpecT, StatusT]) -> Outcome[StatusT]:
        """Bring the world one step closer to the spec; may be killed and repeated at any point."""
        ...

    async def finalize(self, obj: Object[SpecT, StatusT]) -> Outcome[StatusT] | Finalized:
        """Clean up outside the cluster; called while the object is being deleted and holds our finalizer."""
        ...


class Objects(Protocol):
    """Read access to the newest bodies that the watch brought. A cache: it proves nothing before a paid call."""

    def get(self, key: Key) -> Body | None:
        """Return the newest known body."""
        ...

    def list(self, kind: str, namespace: str) -> list[Body]:
        """Return all bodies of a kind in a namespace (empty: in all), sorted by namespace and name."""
        ...

    def find(self, kind: str, namespace: str, index: str, value: str) -> list[Body]:
        """Return the bodies whose field `index` (one of the kind's `indexes`) has this value, sorted by name."""
        ...


class Api(Protocol):
    """Writes and fresh reads that a kind needs beyond its outcome."""

    async def read(self, key: Key) -> Body | None:
        """Return the object as the API server holds it now, or None."""
        ...

    async def list_now(self, kind: str, namespace: str) -> list[Body]:
        """Return all objects of a kind in a namespace as the API server holds them now."""
        ...

    async def write_intent(self, obj: Object[SpecT, StatusT], status: StatusT) -> Object[SpecT, StatusT]:
        """Write status at once, only if nobody has changed the object since it was read; return it as written.

        Raises:
            ConflictError: Somebody changed the object: drop the work and start again from what stands now.
        """
        ...

    async def apply(self, body: Body) -> Body:
        """Server-side apply an object that the operator owns; return it as written."""
        ...

    async def delete(self, key: Key, uid: str) -> None:
        """Delete an object that the operator owns, provided that it still is this one; it may be gone already.

        Raises:
            ConflictError: Another object has the name by now.
        """
        ...


class Clock(Protocol):
    """The time, injected."""

    def __call__(self) -> datetime:
        """Return now, with zone UTC."""
        ...
