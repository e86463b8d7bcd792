"""Which date of Article 50(2) concerns a system, from what people state of it: a reading of dates, and no evidence."""

import datetime

from safetycase.case.judged import JudgedCase
from safetycase.case.requirements.covered import SlotStatus

_GENERAL = datetime.date(2026, 8, 2)
"""Article 50 applies from this day; Article 111(4), as amended, gives systems placed before it until 2 December 2026 for paragraph 2."""
_NO_GRACE = "Paragraphs 1, 3, 4 and 5 apply from 2 August 2026 and had no later date."


def in_scope(case: JudgedCase) -> str:
    """One paragraph: whether marking is owed and from when, as far as the stated facts tell."""
    slots = {slot.id: slot for each in case.requirements if each.id.startswith("aia:50.") for slot in each.slots}
    generates, placed = slots.get("generates_synthetic_content"), slots.get("system_placing_date")
    if generates is None or generates.state != "attested":
        unknown = "Whether marking under paragraph 2 is owed cannot be told: nobody states whether the system generates synthetic content."
        return f"{unknown} {_NO_GRACE}"
    said = f"As stated by {generates.owner}, the system generates {'synthetic' if generates.value == 'yes' else 'no synthetic'} content"
    if generates.value != "yes":
        return f"{said}; paragraph 2 then does not concern it. {_NO_GRACE}"
    day = _day(placed)
    if day is None:
        return f"{said}; when it was placed on the market is not stated, so which date concerns it cannot be told. {_NO_GRACE}"
    if day < _GENERAL:
        return f"{said} and was placed before 2 August 2026; marking is then owed by 2 December 2026 (Article 111(4)). {_NO_GRACE}"
    return f"{said} and was placed on or after 2 August 2026; marking is then owed without a later date. {_NO_GRACE}"


def _day(slot: SlotStatus | None) -> datetime.date | None:
    if slot is None or slot.state != "attested":
        return None
    return datetime.date.fromisoformat(slot.value)
