"""What a reader has chosen to see, from the address of the page, and the form that chooses. Pure.

What cannot be read in an address is as if it were not there: a page of numbers is better than an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.fhir_endpoint import Environment
from ehr_connector.reports.ports import Choices, Filters
from ehr_connector.reports.web.views import Choice, FilterView, Link, Written, labels_of
from ehr_connector.web.locales import N_, Language

DAYS = 30
"""What is shown by default."""
_RANGES = (7, 30, 90, 365)
DAYS_MAX = 3 * 366
_NAMES_MAX = 63


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whole days, and at most one of each kind."""

    first: date
    last: date
    department: str = ""
    endpoint: str = ""
    environment: str = ""
    lang: str = ""
    """Tag of the language that the address asks for: it goes on to the next page."""
    usual: str = ""
    """Environment of an address that names none; so one that means all says so."""

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    def filters(self, zone: str) -> Filters:
        """Return them as the data's side has them, for the days of a time zone."""
        return Filters.of_days(
            self.first,
            self.last,
            zone,
            departments=_some(self.department),
            endpoints=_some(self.endpoint),
            environments=_some(self.environment),
        )

    def query(self, **changes: str) -> str:
        """Return them as the query of an address."""
        fields = {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "department": self.department,
            "endpoint": self.endpoint,
            "environment": self.environment,
            "lang": self.lang,
        } | changes
        return urlencode(
            {name: value for name, value in fields.items() if value or (name == "environment" and self.usual)}
        )


def chosen(query: Mapping[str, str], today: date, usual: str = "") -> Chosen:
    """Return what an address asks for; by default the last thirty days, of the environment that is `usual`."""
    last = _day(query.get("to")) or today
    first = _day(query.get("from")) or last - timedelta(days=DAYS - 1)
    first, last = min(first, last), max(first, last)
    return Chosen(
        max(first, last - timedelta(days=DAYS_MAX - 1)),
        last,
        _name(query.get("department", "")),
        _name(query.get("endpoint", "")),
        _name(query.get("environment", usual)),
        query.get("lang", "")[:_NAMES_MAX],
        usual,
    )


def filter_view(
    has: Chosen, choices: Choices, names: Mapping[str, str], today: date, language: Language, *, with_places: bool
) -> FilterView:
    """Return the form.

    Args:
        has: What is chosen.
        choices: What there is to choose.
        names: What departments are called.
        today: The day at the clinic.
        language: Of the reader.
        with_places: Whether departments, endpoints and environments can be chosen here.
    """
    written = Written(language)
    told = [f"{written.whole_day(has.first)} \N{EN DASH} {written.whole_day(has.last)}"]
    places: list[Choice] = []
    if with_places:
        places = [
            _choice(language, "department", N_("Department"), choices.departments, has.department, names),
            _choice(language, "endpoint", N_("Endpoint"), choices.endpoints, has.endpoint, {}),
            _choice(
                language,
                "environment",
                N_("Environment"),
                choices.environments,
                has.environment,
                {"Test": language.text(N_("Test")), "Production": language.text(N_("Production"))},
            ),
        ]
        told += [words for place in places for _, words, is_chosen in place.options if is_chosen]
    return FilterView(
        first=has.first.isoformat(),
        last=has.last.isoformat(),
        ranges=[_range(has, days, today, language) for days in _RANGES],
        choices=places,
        reset_url=f"?{urlencode({'environment': ''} | ({'lang': has.lang} if has.lang else {}))}",
        told=" \N{MIDDLE DOT} ".join(told),
    )


def department_names(organization: OrganizationConfiguration) -> Mapping[str, str]:
    """Return what an organisation calls its departments, each by a name of its own."""
    called = {one.name: one.display_name for endpoint in organization.endpoints for one in endpoint.departments}
    return labels_of(called, called.__getitem__)


def usual_environment(organization: OrganizationConfiguration) -> str:
    """Return the environment that is shown until another is chosen: Production once it holds visits, so that tests add nothing."""
    has_production = any(one.active and one.environment is Environment.PRODUCTION for one in organization.endpoints)
    return Environment.PRODUCTION.value if has_production else ""


def zone_of(organization: OrganizationConfiguration) -> str:
    """Return the time zone whose days are shown: that of the first endpoint."""
    return next((endpoint.appointments.time_zone for endpoint in organization.endpoints), "UTC")


def _range(has: Chosen, days: int, today: date, language: Language) -> Link:
    first = today - timedelta(days=days - 1)
    query = has.query(**{"from": first.isoformat(), "to": today.isoformat()})
    text = language.text(N_("%(days)s days"), days=Written(language).number(days))
    return Link(f"?{query}", text, (has.first, has.last) == (first, today))


def _choice(
    language: Language, name: str, label: str, values: Sequence[str], has: str, names: Mapping[str, str]
) -> Choice:
    # A value of the address that there is no data of (any more) is shown, so that it can be taken back.
    known = [*values, *([has] if has and has not in values else [])]
    options = [(value, names.get(value, value), value == has) for value in known]
    return Choice(name, language.text(label), language.text(N_("All")), options)


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2200 else None  # noqa: PLR2004 (sums with days stay possible)


def _name(text: str) -> str:
    return text[:_NAMES_MAX] if text.isprintable() else ""


def _some(value: str) -> Sequence[str]:
    return (value,) if value else ()
