"""What the runtime reads of an object's metadata."""

from __future__ import annotations

from collections.abc import Hashable

from ehr_api.meta import GROUP
from ehr_operator.runtime.model import Body, Key


def key_of(kind: str, body: Body) -> Key:
    """Return the key of a body."""
    return Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])


def finalizers(body: Body) -> list[str]:
    """Return the finalizers that stand on the object."""
    return body["metadata"].get("finalizers", [])


def is_deleting(body: Body) -> bool:
    """Return whether somebody has deleted the object, and finalizers hold it."""
    return "deletionTimestamp" in body["metadata"]


def addressed(body: Body) -> Hashable:
    """Return what somebody changes in order to tell us something; everything else of an object is noise to it."""
    metadata = body["metadata"]
    annotations: dict[str, str] = metadata.get("annotations", {})
    ours = frozenset((name, value) for name, value in annotations.items() if name.startswith(f"{GROUP}/"))
    return metadata["uid"], metadata["generation"], is_deleting(body), ours


def is_fresh(body: Body) -> bool:
    """Return whether nobody has looked at the object yet: its arrival is news to those who waited for it."""
    observed: int = body.get("status", {}).get("observedGeneration", -1)
    return observed < 0


def without_bookkeeping(body: Body) -> Body:
    """Return the body without the API server's record of who wrote which field: half of its size, and nobody here reads it."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}
