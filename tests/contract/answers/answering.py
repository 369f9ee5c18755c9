"""An organisation that texts by the stand-in, whose answers come through a real queue into a database."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from contract.acs_stand_in.messaging import PATIENT, SENDER
from contract.answers.queues import Queue
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_clients.http import client
from ehr_clients.storage_queue import StorageQueue
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.answers.help_desk import HelpDesk
from ehr_connector.notify.answers.reader import Answers
from ehr_connector.notify.provider import Providers
from ehr_connector.store.deliveries import Deliveries
from ehr_connector.store.number_troubles import NumberTroubles
from ehr_connector.store.opt_outs import OptOuts
from ehr_connector.store.organizations import Organizations, Precondition
from ehr_connector.store.rates import Rates
from ehr_connector.store.schema import metadata, send
from ehr_connector.store.sends import Message, Sends, State
from ehr_sandbox.acs.app import create_app
from ehr_sandbox.acs.settings import AcsSettings, Behaviour
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve


def utc_now() -> datetime:
    """The real time: Azurite and the stand-in go by it too."""
    return datetime.now(UTC)


async def _at_once(_number: str) -> None:
    """No pace."""


@dataclass
class Desk:
    """Everything at hand."""

    engine: AsyncEngine
    acs: str
    trusted: ssl.SSLContext
    secret: SecretKeys
    queue: Queue
    answers: Answers
    sends: Sends
    providers: Providers
    list_: Path
    """Those whom Test endpoints may write to."""

    async def configure(self, namespace: str = "lamna", **changes: Any) -> None:
        """Configure an organisation of its own EHR, with the usual number unless `changes` say otherwise."""
        document: dict[str, Any] = deepcopy(ORGANIZATION_CONFIGURATION) | {"namespace": namespace, "name": namespace}
        document["communicationServices"] = {"endpoint": self.acs}
        document |= changes
        for endpoint in document["endpoints"]:
            endpoint["baseURL"] = f"https://fhir.{namespace}.example/{uuid4()}"
        configuration = OrganizationConfiguration.model_validate(document)
        organizations = Organizations(self.engine, utc_now)
        held = await organizations.get(namespace, namespace)
        await organizations.put(configuration, Precondition(held.digest if held else None))

    async def control(self, method: str, path: str, json: Any = None) -> Any:
        """Use a control of the stand-in."""
        async with httpx.AsyncClient(base_url=self.acs, verify=self.trusted) as http:
            answer = await http.request(method, f"/_sandbox/{path}", json=json)
        answer.raise_for_status()
        return answer.json()

    async def behave(self, **settings: Any) -> None:
        """Change how the stand-in behaves."""
        await self.control("PATCH", "settings", settings)

    async def texts(self, to: str = PATIENT) -> list[dict[str, Any]]:
        """The texts that the provider took."""
        return [one for one in (await self.control("GET", "ledger"))["texts"] if one["to"] == to]

    async def say(self, *words: str, to: str = SENDER, phone: str = PATIENT) -> None:
        """A person texts."""
        inbound = [{"from": phone, "to": to, "message": word} for word in words]
        await self.control("POST", "messages", {"inbound": inbound})

    async def send(
        self, occasion: str = "reminder", *, code: int | None = None, digest: str | None = None, to: str = PATIENT
    ) -> str:
        """Send a text as the connector does, and return its digest; `code` is its fate."""
        if code is not None:
            await self.control("POST", "messages", {"codes": [{"code": code}]})
        digest = digest or uuid4().hex + "d" * 11
        claim = await self.sends.claim(Message(digest, "v" * 43, "lamna", "lamna", "lamna-test", occasion, "sms"))
        assert claim is not None
        await self.sends.address(claim, self.name(to), SENDER)
        message_id = await self.providers.sms(self.acs).send(
            SENDER, to, "Join", request_id=claim.request_id, first_sent=claim.first_sent_at, tag=claim.digest
        )
        await self.sends.end(claim, State.ACCEPTED, message_id=message_id)
        return digest

    def name(self, phone: str, namespace: str = "lamna") -> str:
        """The keyed name of a recipient."""
        return self.secret.name("recipient", namespace, namespace, phone)

    async def is_opted_out(self, phone: str = PATIENT, namespace: str = "lamna") -> bool:
        """Whether somebody wants no texts."""
        return await self.sends.is_opted_out(self.name(phone, namespace))

    async def read(self, messages: int = 1) -> None:
        """Read until so many answers were dealt with."""
        async with asyncio.timeout(60):
            while messages > 0:
                taken = await self.answers.read()
                messages -= taken
                if not taken:
                    await asyncio.sleep(0.1)

    def count(self, kind: str, outcome: str) -> float:
        """How many answers ended so."""
        labels = {"kind": kind, "outcome": outcome}
        return self.answers.metrics.registry.get_sample_value("ehr_connector_answers_total", labels) or 0

    async def states(self) -> dict[str, tuple[str, str | None]]:
        """State and reason of every message, by digest."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(select(send.c.digest, send.c.state, send.c.reason))).all()
        return {row.digest: (row.state, row.reason) for row in rows}

    async def everything(self) -> str:
        """All that is in the database but the configuration, as text."""
        async with self.engine.connect() as connection:
            tables = [table for table in metadata.sorted_tables if table.name != "organization"]
            return str([(await connection.execute(select(table))).all() for table in tables])


async def opened(
    resources: AsyncExitStack, engine: AsyncEngine, ca: LocalCA, secret: SecretKeys, queue: Queue, work: Path
) -> Desk:
    """Open everything."""
    chain, key = ca.server_certificate("acs", "127.0.0.1")
    behaviour = Behaviour(verified_at_once=True, delivery_seconds=0, texts_per_minute=10_000)
    settings = AcsSettings(behaviour=behaviour, queue_url=queue.url)
    acs = await resources.enter_async_context(serve(create_app(settings), ssl_certfile=chain, ssl_keyfile=key))
    (work / "access-key").write_text(settings.access_key)
    trusted = ssl.create_default_context(cafile=ca.ca_file)
    providers = Providers(
        f"file:{work / 'access-key'}",
        [acs],
        trusted,
        entra_authority="https://login.microsoftonline.com",
        entra_instance_discovery=False,
        environment={},
    )
    resources.push_async_callback(providers.aclose)
    http = await resources.enter_async_context(client())
    opt_outs, ticks = OptOuts(engine, utc_now), itertools.count()
    (work / "lists" / "lamna").mkdir(parents=True)
    answers = Answers(
        queue=StorageQueue(http, queue.url),
        # By this clock it is always time to look at the database again.
        directory=Directory(Organizations(engine, utc_now), lambda: float(next(ticks))),
        deliveries=Deliveries(engine, utc_now),
        opt_outs=opt_outs,
        troubles=NumberTroubles(engine, utc_now),
        help_desk=HelpDesk(
            providers=providers,
            allow_lists=AllowLists(work / "lists"),
            opt_outs=opt_outs,
            rates=Rates(engine, utc_now),
            secret=secret,
            pace=_at_once,
            now=utc_now,
        ),
        secret=secret,
        metrics=Metrics(),
        now=utc_now,
        idle_s=0.1,
        hidden_s=60,
    )
    desk = Desk(
        engine=engine,
        acs=acs,
        trusted=trusted,
        secret=secret,
        queue=queue,
        answers=answers,
        sends=Sends(engine, utc_now),
        providers=providers,
        list_=work / "lists" / "lamna" / "lamna",
    )
    await desk.control("POST", "state", {"own": [SENDER]})
    await desk.configure()
    return desk
