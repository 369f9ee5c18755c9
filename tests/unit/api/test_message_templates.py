"""Templates are judged without an API server as the API server judges them (tests/cluster/crds/test_templates.py)."""

from __future__ import annotations

import re

import pytest
from unit.api.template_cases import CASES, GSM_7, TEXT, Case

from ehr_api.gsm7 import BASIC, EXTENDED, is_gsm_7, pattern
from ehr_api.v1alpha1.message_templates import EmailTemplate, MessageTemplate

MODELS = {True: MessageTemplate, False: EmailTemplate}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fault_is_told_with_field_and_remedy_and_a_good_template_has_none(case: Case) -> None:
    # What the schema itself refuses, such as a length, is told by `faults` too.
    template = MODELS[case.section == TEXT].model_validate(case.template)
    faults = template.faults()

    assert len(faults) == len(case.words), faults
    assert [words for words in case.words if not any(words in fault for fault in faults)] == []
    assert [fault for fault in faults if fault.split()[0] not in {"text", "subject", "kind"}] == []


def test_the_regular_expression_of_the_alphabet_holds_its_letters_and_no_other() -> None:
    python = re.sub(r"\\x\{([0-9A-F]+)\}", lambda found: f"\\U{found[1]:>08}", pattern())
    letters = {chr(code) for code in range(0x3000) if re.fullmatch(python, chr(code))}

    assert letters == BASIC | EXTENDED
    assert len(BASIC) + len(EXTENDED) == 127 + 10  # 3GPP TS 23.038, without the escape itself
    assert is_gsm_7(GSM_7)
