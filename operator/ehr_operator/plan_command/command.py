"""The command: read, compare, print. It sends the API server nothing but lists."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pydantic
import yaml
from kubernetes.aio import config

from ehr_operator.kinds import PLURALS
from ehr_operator.plan_command.desired import Document, parse
from ehr_operator.plan_command.plan import plan
from ehr_operator.plan_command.present import as_json, as_text, is_destructive
from ehr_operator.plan_command.source import SourceError, build_kustomization, read_files
from ehr_operator.runtime.kube import Kube, KubeError, NotFoundError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body

SUMMARY = "tell what an apply would do to the outside world, and change nothing"

_ERROR, _DESTRUCTIVE = 1, 2
_LIST_LIMIT_S = 60.0

_EPILOG = """\
exit status:
  0  nothing destructive
  1  error: wrong arguments or input, no answer from the cluster
  2  something destructive, marked with '!': a number released or no longer linked, an integration record that
     the EHR holds changed or removed, an endpoint deactivated, texts lost, an object that the API server refuses

Neither the provider of phone numbers nor the connector is asked. Of the rules that the CRDs hold in CEL, those of message
templates are checked here; all of them are by the API server: kubectl apply --dry-run=server.

examples:
  python -m ehr_operator plan -k deploy/overlays/local
  python -m ehr_operator plan -f deploy/samples --namespace lamna --no-cluster --output json
"""


class _Parser(argparse.ArgumentParser):
    """Ends with status 1 on wrong arguments: 2 says that something is destructive."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_ERROR, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Print the plan and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        documents = read_files(options.filename) if options.filename else build_kustomization(options.kustomize)
        desired = _desired(documents, options.namespace or ("default" if options.no_cluster else _current_namespace()))
        live = [] if options.no_cluster else asyncio.run(_live())
        effects = plan(desired, live, prune=options.prune)
    except (SourceError, _ClusterError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201 (a command, for a person)
        return _ERROR
    except yaml.YAMLError as exc:
        print(f"the kubeconfig is no YAML: {exc}", file=sys.stderr)  # noqa: T201
        return _ERROR
    except pydantic.ValidationError as exc:
        print(f"an object in the cluster is not what this version understands: {exc}", file=sys.stderr)  # noqa: T201
        return _ERROR
    print(as_json(effects) if options.output == "json" else as_text(effects))  # noqa: T201
    return _DESTRUCTIVE if is_destructive(effects) else 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m ehr_operator plan",
        description=f"{SUMMARY[:1].upper()}{SUMMARY[1:]}:\nnumbers bought or released, links, integration records,"
        " endpoints that start or stop serving.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "-f", "--filename", type=Path, metavar="DIR|FILE", help="YAML file, or folder with its subfolders"
    )
    source.add_argument("-k", "--kustomize", type=Path, metavar="DIR", help="kustomization; needs kubectl")
    parser.add_argument(
        "-n", "--namespace", help="namespace of objects that name none (default: that of the kubeconfig's context)"
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="count live objects that the input leaves out as deleted, in the namespaces that the input names",
    )
    parser.add_argument("--no-cluster", action="store_true", help="compare with an empty cluster: everything is new")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    return parser


class _ClusterError(Exception):
    """The live objects cannot be had."""


def _desired(documents: Sequence[Document], namespace: str) -> list[Body]:
    parsed = parse(documents, namespace=namespace)
    if parsed.problems:
        raise SourceError("\n".join(["The input must be mended first:", *(f"  {one}" for one in parsed.problems)]))
    if not parsed.bodies:
        raise SourceError("the input holds no EHRConnectorConfig, FhirEndpoint or SmsNumber")
    return parsed.bodies


def _current_namespace() -> str:
    library: Any = config  # it has no complete types
    try:
        _, context = library.list_kube_config_contexts()
    except config.ConfigException:
        return "default"
    named: dict[str, str] = context["context"]
    return named.get("namespace", "default")


async def _live() -> list[Body]:
    """Return every object of ours in the cluster.

    Raises:
        _ClusterError: The API server gives no usable answer.
    """
    kube = Kube(PLURALS, Metrics())
    try:
        async with asyncio.timeout(_LIST_LIMIT_S):
            bodies: list[Body] = []
            for kind in PLURALS:
                found: list[Body] = []
                await kube.list_all(kind, found.append)
                bodies += [{**body, "kind": kind, "apiVersion": body.get("apiVersion", "")} for body in found]
            return bodies
    except NotFoundError as exc:
        raise _ClusterError(
            f"the cluster does not know our kinds: apply the CRDs (kubectl apply -k crds), or give --no-cluster ({exc})"
        ) from exc
    except (KubeError, TimeoutError) as exc:
        raise _ClusterError(
            f"the cluster of the current kubeconfig gives no usable answer: {exc or 'none in time'}; give --no-cluster to"
            " compare with an empty one"
        ) from exc
    finally:
        await kube.close()
