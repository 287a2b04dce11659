"""Makes the demo files again, or larger ones of the same kind; and FHIR resources of invented people for measurements.

    python -m seed.generate --folder FOLDER [--people 200] [--visits 40] [--seed 1]

The committed files are what this writes into seed/ with the defaults; a test holds them against it.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from mappings.laboratory import quantity
from mappings.person import concept
from mappings.roster import Layout, RosterRow, map_row
from mappings.systems import LOINC, OBSERVATION_CATEGORY
from seed.clinic import InventedVisit, envelope, sample_visit, visits
from seed.people import HEADER, Invented, changed_card, messy_row, people, tidy_row

DECLARING = 30
_ALLERGIES = (
    ("drug", "Penicillin"),
    ("drug", "Aspirin"),
    ("food", "Tôm, cua"),
    ("food", "Đậu phộng"),
    ("chemical", "Phấn hoa"),
    ("other", "Nọc ong"),
)
# code, display, unit, lowest, highest: what observations() measures
_MEASURES = (
    ("29463-7", "Body weight", "kg", 40, 95),
    ("8302-2", "Body height", "cm", 145, 185),
    ("8867-4", "Heart rate", "/min", 55, 110),
    ("8310-5", "Body temperature", "Cel", 36, 39),
)


def patients(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """`count` Patient resources of invented people, without ids, as the roster mapping makes them."""
    layout = Layout.from_header(HEADER)
    for position, person in enumerate(people(count, seed), start=1):
        mapped = map_row(layout, position, [str(position), *tidy_row(person)])
        assert isinstance(mapped, RosterRow), mapped
        yield mapped.patient


def observations(references: Sequence[str], count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """`count` vital-sign Observations spread over the patients with these references (Patient/…), without ids."""
    random = Random(seed)
    start = datetime.datetime(2024, 1, 1, 7)
    for position in range(count):
        code, display, unit, low, high = random.choice(_MEASURES)
        at = start + datetime.timedelta(minutes=random.randint(0, 1_440_000))
        value = Decimal(random.randint(low * 10, high * 10)).scaleb(-1)
        yield {
            "resourceType": "Observation",
            "status": "final",
            "category": [concept(OBSERVATION_CATEGORY, "vital-signs")],
            "code": concept(LOINC, code, display),
            "subject": {"reference": references[position % len(references)]},
            "effectiveDateTime": f"{at.isoformat(timespec='seconds')}+07:00",
            "valueQuantity": quantity(value, unit),
        }


def roster_rows(population: Sequence[Invented], seed: int = 1) -> list[list[str]]:
    """The rows of the demo roster: messy ones, three people with a second card, and three rows that must be refused."""
    random = Random(seed)
    rows = [tidy_row(population[0]), *(messy_row(person, random) for person in population[1:])]
    working = [person for person in population[1:] if 24 <= person.age < 60]
    for person in working[10:40:10]:
        row = tidy_row(changed_card(person))
        row[7] = "01/06/2026"
        rows.append(row)
    nameless, impossible, numberless = (tidy_row(person) for person in people(4, seed + 1) if person.serial != 123)
    nameless[2] = ""
    impossible[3] = "31/02/1990"
    for column in (0, 1, 11):
        numberless[column] = ""
    for position, row in ((60, nameless), (120, impossible), (180, numberless)):
        rows.insert(min(position, len(rows)), row)
    return [[str(number), *row] for number, row in enumerate(rows, start=1)]


def facility_visits(population: Sequence[Invented], count: int, seed: int = 1) -> dict[str, list[InventedVisit]]:
    """facility -> its visits: the sample visit, one of a person without insurance, the rest of people of the roster."""
    stranger = replace(population[-1], serial=900_001, name="Lò Văn Pấu", object_code="", benefit="", has_cccd=True)
    # Few facilities, so that there are few files.
    local = [person for person in population[1:] if person.place.facility in ("79001", "01001", "48001", "92001")]
    made = [sample_visit(population[0]), *visits(local, count - 2, seed)]
    last = visits([stranger], 1, seed + 1)[0]
    made.append(replace(last, facility="79001", ma_lk="79001_2610_000900"))
    grouped: dict[str, list[InventedVisit]] = {}
    for visit in made:
        grouped.setdefault(visit.facility, []).append(visit)
    return grouped


def declarations(population: Sequence[Invented], seed: int = 1) -> list[dict[str, Any]]:
    """Answers to the citizens' form of some people, keyed by a BHYT number; the first is the person of the sample."""
    random = Random(seed)
    grown = [person for person in population[1:] if person.age >= 18]
    chosen = [population[0], *random.sample(grown, min(DECLARING - 1, len(grown)))]
    return [_declaration(random, person, position) for position, person in enumerate(chosen)]


def _declaration(random: Random, person: Invented, position: int) -> dict[str, Any]:
    recorded = datetime.datetime(2026, 10, 1, 19) + datetime.timedelta(hours=7 * position)
    height = random.randint(148, 166) if person.sex == "female" else random.randint(157, 180)
    weight = 52.0 if position == 0 else (height / 100) ** 2 * random.uniform(18.5, 27)
    systolic = random.randint(100, 165)
    form = {
        "weight": f"{weight:.1f}".replace(".", random.choice(".,")),
        "height": str(height),
        "systolic": str(systolic),
        "diastolic": str(systolic * 3 // 5 + random.randint(-4, 6)),
        "measured": f"{recorded:%Y-%m-%d}",
    }
    if position == 0 or random.random() < 0.6:
        form |= {"abo": person.blood_group[:-1], "rh": person.blood_group[-1]}
    if position % 2 == 0:
        kind, substance = _ALLERGIES[position // 2 % len(_ALLERGIES)]
        form |= {"allergy": "yes", "kind": kind, "substance": substance}
    elif random.random() < 0.5:
        form["allergy"] = "no"
    number = person.card if position % 3 else person.bhxh
    return {"bhyt": number, "recorded": f"{recorded.isoformat()}+07:00", "form": form}


def write(folder: Path, *, count: int = 200, visit_count: int = 40, seed: int = 1) -> None:
    """Write roster.csv, visits/*.xml and self_declared.json into a folder."""
    population = list(people(count, seed))
    (folder / "visits").mkdir(parents=True, exist_ok=True)
    with (folder / "roster.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *roster_rows(population, seed)])
    for facility, visits_there in facility_visits(population, visit_count, seed).items():
        path = folder / "visits" / f"giamdinhhs_{facility}.xml"
        path.write_text(envelope(facility, visits_there), encoding="utf-8")
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in declarations(population, seed))
    (folder / "self_declared.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Write a demo roster, visits and self-declarations of invented people."
    )
    parser.add_argument("--folder", type=Path, required=True, help="where to write the files")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--visits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write(options.folder, count=options.people, visit_count=options.visits, seed=options.seed)


if __name__ == "__main__":
    main()
