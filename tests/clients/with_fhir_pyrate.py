"""fhir-pyrate (https://pypi.org/project/fhir-pyrate/) against a running server. It only reads: data frames of people."""

from __future__ import annotations

import pandas
import requests
from fhir_pyrate import Pirate

from tests.clients.steps import BASE, PEOPLE, SYSTEM, equal, person, step

pirate = Pirate(auth=None, base_url=BASE, print_request_url=False, num_processes=1)
ids: list[str] = []


def seed() -> None:
    """What the others create; this client has no create."""
    for number in range(PEOPLE):
        response = requests.post(f"{BASE}/Patient", json=person("pyrate", number), timeout=30)
        response.raise_for_status()
        ids.append(response.json()["id"])


def read() -> None:
    bundle = pirate._get_response(f"{BASE}/Patient/{ids[0]}")
    assert bundle is not None
    equal(bundle.entry[0].resource.id, ids[0])


def search() -> None:
    equal(pirate.get_bundle_total("Patient", {"given": "pyrate", "_summary": "count"}), PEOPLE)
    frame = pirate.steal_bundles_to_dataframe(
        "Patient",
        {"identifier": f"{SYSTEM}|pyrate-007"},
        fhir_paths=["id", ("born", "birthDate")],
    )
    assert isinstance(frame, pandas.DataFrame)
    equal(frame.values.tolist(), [[ids[7], "1990-02-28"]])


def paging() -> None:
    bundles = list(pirate.steal_bundles("Patient", {"given": "pyrate", "_count": 10}))
    equal([len(bundle.entry) for bundle in bundles], [10, 10, 5])
    equal(sorted(entry.resource.id for bundle in bundles for entry in bundle.entry), sorted(ids))
    rows = pandas.DataFrame({"number": [f"{SYSTEM}|pyrate-{number:03}" for number in range(3)]})
    frame = pirate.trade_rows_for_dataframe(
        rows, "Patient", df_constraints={"identifier": "number"}, fhir_paths=["id"], with_ref=False
    )
    assert isinstance(frame, pandas.DataFrame)
    equal(frame["id"].tolist(), ids[:3])


seed()
for action in (read, search, paging):
    step(action.__name__, action)
