"""The whole of it, played in a real browser: what `make demo ARGS=--once` does, and what is left of a patient afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import yaml
from free_ports import free_ports_in_a_row

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.layout import NAMESPACE, PATIENT_PHONE, TEST_TENANT
from ehr_sandbox.demo.play import configure, remove, running_system
from ehr_sandbox.demo.report import Report
from ehr_sandbox.demo.system import System
from ehr_sandbox.demo.visit import play

STEPS = [
    "control plane ready",
    "stand-ins ready",
    "operator ready",
    "connector ready",
    "resources applied",
    "resources ready",
    "integration records written",
    "confirmation SMS delivered",
    "clinician launched",
    "patient in the lobby",
    "status shown to the clinician",
    "patient admitted",
    "visit ended",
    "production promoted",
    "visit in the report",
    "resources deleted",
]
CANARIES = ("Quillfeather", "Rosalind", "1984-02-29", PATIENT_PHONE.removeprefix("+1"))
"""Of the patient whom the demo plants."""
PLANTED = "planted-canary-Quillfeather"


async def test_the_played_visit_promotes_production_and_leaves_nothing_of_the_patient(
    assets: Assets, tmp_path: Path
) -> None:
    del assets  # fetched before
    report = Report(PlainProgress())
    async with running_system(report, first_port=free_ports_in_a_row()) as system:
        await configure(system, report)
        await play(system, report, tmp_path / "pictures")
        await _every_address_of_every_record_answers(system)
        ids = await _ids_of_the_patient(system)
        searched = await _written(system)
        assert _found(searched, [*CANARIES, *ids]) == []

        # The same search finds what is there: so it looked into something.
        await _plant(system)
        assert {where for where, _ in _found(await _written(system), [PLANTED])} == {
            "resources of the cluster",
            "Events",
            "log of connector",
        }
        assert all([await _is_in_ehr(system, canary) for canary in CANARIES])
        await remove(system, report)

    assert [step.name for step in report.steps if step.ok] == STEPS
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert len(pictures) >= 10
    assert min(picture.stat().st_size for picture in pictures) > 10_000


async def _every_address_of_every_record_answers(system: System) -> None:
    """Each address that the EHR admin copies is one of ours, and says what it is for to somebody who just opens it."""
    records = await system.kubectl.items("integrationrecords", NAMESPACE)
    answers: dict[str, tuple[int, str]] = {}
    async with system.http() as http:
        for spec in (record["spec"] for record in records):
            parameters = {one["name"]: one["value"] for one in spec.get("parameters", [])}
            for name in ("launchURL", "redirectURI", "jwksURL"):
                if name in spec:
                    answer = await http.get(spec[name], params=parameters)
                    answers[spec[name].removeprefix(system.layout.connector_url)] = (answer.status_code, answer.text)
    assert {path: status for path, (status, _) in answers.items()} == {
        "/launch/provider": 400,
        "/launch/patient": 200,
        "/launch/callback": 400,
        "/device-test": 200,
        "/.well-known/jwks.json": 200,
    }
    assert "an EHR launch" in answers["/launch/provider"][1]
    assert "text message or e-mail" in answers["/launch/patient"][1]


async def _written(system: System) -> Mapping[str, str]:
    """Everything that operator and connector wrote anywhere, by where."""
    kubectl, work = system.kubectl, system.layout.work
    kinds = (await kubectl("api-resources", "--verbs=list", "-o", "name")).split()
    listed = ",".join(kind for kind in kinds if "events" not in kind)
    async with system.http() as http:
        metrics = [
            (await http.get(f"{url}/metrics")).text for url in (system.layout.operator_url, system.layout.connector_url)
        ]
    return {
        "resources of the cluster": await kubectl("get", listed, "-A", "-o", "yaml", "--show-managed-fields"),
        "Events": await kubectl("get", "events", "-A", "-o", "yaml"),
        "metrics": "\n".join(metrics),
        **{f"log of {name}": (work / f"{name}.log").read_text(errors="replace") for name in ("operator", "connector")},
        **{
            f"database file {path.name}": path.read_bytes().decode("latin-1")
            for path in work.glob("connector.sqlite3*")
        },
    }


def _found(searched: Mapping[str, str], texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(where, text) for where, content in searched.items() for text in texts if text in content]


async def _ids_of_the_patient(system: System) -> list[str]:
    """The ids in the EHR of the planted patient and of the booked appointment."""
    async with system.http() as http:
        answer = await http.get(f"{system.layout.cerner_url}/_sandbox/search", params={"text": CANARIES[0]})
    resources = {entry["resource"] for entry in answer.json()["where"] if entry["tenant"] == TEST_TENANT}
    ids = [resource.rpartition("/")[2] for resource in resources]
    assert any(resource.startswith("Patient/") for resource in resources)
    return ids


async def _is_in_ehr(system: System, text: str) -> bool:
    async with system.http() as http:
        answer = await http.get(f"{system.layout.cerner_url}/_sandbox/search", params={"text": text})
    return answer.json()["found"]


async def _plant(system: System) -> None:
    """Leave the canary where it must not be."""
    plant: Callable[[dict[str, object]], str] = yaml.safe_dump
    metadata = {"name": "planted", "namespace": NAMESPACE, "labels": {"planted": PLANTED}}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "planted", "namespace": NAMESPACE},
        "involvedObject": {"kind": "FhirEndpoint", "name": "lamna-test", "namespace": NAMESPACE},
        "reason": "Planted",
        "message": PLANTED,
        "type": "Normal",
    }
    await system.kubectl(
        "apply", "-f", "-", stdin=plant({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    )
    await system.kubectl("create", "-f", "-", stdin=plant(event))
    with (system.layout.work / "connector.log").open("a") as log:
        log.write(PLANTED + "\n")
