"""Which observations are of one kind."""

from __future__ import annotations

from fhir_server.operations.lastn import group


def observation(*codes: str, text: str = ""):
    codings = [{"system": "http://loinc.org", "code": code} for code in codes]
    return {"code": {"coding": codings} if codings else {"text": text}}


def test_observations_that_share_a_coding_are_of_one_kind() -> None:
    assert group([observation("a"), observation("b"), observation("a"), observation("b")]) == [[0, 2], [1, 3]]


def test_an_observation_with_both_codings_joins_two_kinds() -> None:
    several = [observation("a"), observation("c"), observation("b"), observation("a", "b"), observation("b")]
    assert group(several) == [[0, 2, 3, 4], [1]]


def test_the_same_code_of_another_system_is_another_kind() -> None:
    other = {"code": {"coding": [{"system": "http://example.org", "code": "a"}]}}
    assert group([observation("a"), other]) == [[0], [1]]


def test_without_a_coding_the_text_tells() -> None:
    assert group([observation(text="Cân nặng"), observation(text="Chiều cao"), observation(text="Cân nặng")]) == [
        [0, 2],
        [1],
    ]
