"""What is on sale: countries, offerings, and a stock of numbers that a seed reproduces.

The numbers are from the ranges that regulators keep free for films and books, so none of them is anybody's. Prices are
near the published ones and serve only to be added up.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ehr_sandbox.acs.model import AssignmentType, AvailableNumber, Capabilities, Cost, NumberType

_BOTH_WAYS = "inbound+outbound"
_CALLS_AND_TEXTS = Capabilities(calling=_BOTH_WAYS, sms=_BOTH_WAYS)
_CALLS = Capabilities(calling=_BOTH_WAYS, sms="none")

COUNTRIES = {"FR": "France", "GB": "United Kingdom", "US": "United States"}
_CALLING_CODES = {"FR": "33", "GB": "44", "US": "1"}


@dataclass(frozen=True, slots=True)
class Area:
    """An area code, and the fictional numbers in it: `line_prefix` and then `width` digits."""

    code: str
    line_prefix: str = "55501"
    width: int = 2
    locality: str = ""
    division: str = ""
    division_name: str = ""


@dataclass(frozen=True, slots=True)
class Offering:
    """One kind of number in one country."""

    country_code: str
    number_type: NumberType
    assignment_type: AssignmentType
    capabilities: Capabilities
    monthly_cost: float
    areas: tuple[Area, ...]
    no_resale: bool = False
    """Whether the buyer must agree not to resell. That France asks for it is this simulator's choice, to have a case."""

    @property
    def cost(self) -> Cost:
        """The price of one number."""
        return Cost(amount=self.monthly_cost)


_TOLL_FREE_CODES = ("800", "833", "844", "855", "866", "877", "888")
_US_CITIES = (
    Area("425", locality="Redmond", division="WA", division_name="Washington"),
    Area("206", locality="Seattle", division="WA", division_name="Washington"),
    Area("816", locality="Kansas City", division="MO", division_name="Missouri"),
    Area("212", locality="New York City", division="NY", division_name="New York"),
)
_LONDON = (Area("20", "79460", width=3, locality="London", division="ENG", division_name="England"),)
_PARIS = (Area("1", "9900", width=4, locality="Paris", division="IDF", division_name="Île-de-France"),)

# Source: Communication Services, "Phone number management for United States": only toll-free numbers can text.
OFFERINGS = (
    Offering(
        "US",
        "tollFree",
        "application",
        _CALLS_AND_TEXTS,
        2.00,
        tuple(Area(code) for code in _TOLL_FREE_CODES),
    ),
    Offering("US", "geographic", "application", _CALLS, 1.00, _US_CITIES),
    Offering("US", "geographic", "person", _CALLS, 1.00, _US_CITIES),
    Offering("GB", "tollFree", "application", _CALLS, 2.00, (Area("808", "1570", width=3),)),
    Offering("GB", "geographic", "application", _CALLS, 1.00, _LONDON),
    Offering("GB", "mobile", "application", _CALLS_AND_TEXTS, 1.50, (Area("7700", "900", width=3),)),
    Offering("FR", "geographic", "application", _CALLS, 1.00, _PARIS, no_resale=True),
)


def offerings_of(
    country_code: str, number_type: str | None = None, assignment_type: str | None = None
) -> list[Offering]:
    """Return the offerings of a country, narrowed where a type is given."""
    return [
        offering
        for offering in OFFERINGS
        if offering.country_code == country_code
        and number_type in {None, offering.number_type}
        and assignment_type in {None, offering.assignment_type}
    ]


def stock_of(seed: int, numbers_per_area: int) -> dict[str, AvailableNumber]:
    """Return the numbers on sale by their digits; the same seed gives the same numbers for ever.

    A number that is offered to people and to applications stands here once; who asks for it says which.
    """
    stock: dict[str, AvailableNumber] = {}
    for offering in OFFERINGS:
        for area in offering.areas:
            lines = 10**area.width
            # The area names its own generator, so that a new offering leaves the numbers of the others as they are.
            start = _start(offering, area)
            chance = random.Random(f"{seed}/{start}")  # noqa: S311  # A stock, not a secret.
            for line in chance.sample(range(lines), min(numbers_per_area, lines)):
                number = _number(offering, f"{start}{area.line_prefix}{line:0{area.width}}")
                stock.setdefault(number.id, number)
    return stock


def describe(phone_number: str) -> AvailableNumber:
    """Return a number outside the stock, with the type that its digits tell; raises ValueError where they tell none."""
    for offering in OFFERINGS:
        if any(phone_number.startswith(_start(offering, area)) for area in offering.areas):
            return _number(offering, phone_number)
    raise ValueError(f"'{phone_number}' is in no area that this simulator knows")


def national_digits(number: AvailableNumber) -> str:
    """Return the digits after the country's calling code."""
    return number.id.removeprefix(_CALLING_CODES[number.country_code])


def _start(offering: Offering, area: Area) -> str:
    """Return the beginning of an area's numbers in E.164."""
    return f"+{_CALLING_CODES[offering.country_code]}{area.code}"


def _number(offering: Offering, phone_number: str) -> AvailableNumber:
    return AvailableNumber(
        id=phone_number.removeprefix("+"),
        phone_number=phone_number,
        country_code=offering.country_code,
        phone_number_type=offering.number_type,
        assignment_type=offering.assignment_type,
        capabilities=offering.capabilities,
        cost=offering.cost,
        is_agreement_to_not_resell_required=offering.no_resale,
    )
