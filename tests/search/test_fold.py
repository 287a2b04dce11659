"""Names are found with and without their diacritics."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.fold import fold, last_word_first


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Nguyễn Thị Ánh Đào", "nguyen thi anh dao"),
        (unicodedata.normalize("NFD", "Nguyễn Thị Ánh Đào"), "nguyen thi anh dao"),
        ("  TRẦN   VĂN\tĐỨC ", "tran van duc"),
        ("hoà", "hoa"),
        ("hòa", "hoa"),
        ("Ưng Hoàng Phúc", "ung hoang phuc"),
        ("Straße Œuvre", "strasse oeuvre"),
    ],
)
def test_text_is_folded_to_bare_lower_case(text, folded):
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


def test_people_are_sorted_by_the_last_word_of_their_name():
    names = ["Nguyễn Văn Bình", "Trần Thị An", "Lê An", "Phạm Đông"]
    assert sorted(names, key=last_word_first) == ["Lê An", "Trần Thị An", "Nguyễn Văn Bình", "Phạm Đông"]
