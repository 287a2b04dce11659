"""Files in chunks: in their order, apart from those of other jobs."""

from __future__ import annotations

from fhir_server.store.files import Files
from fhir_server.store.records import Store


def test_the_chunks_of_a_file_are_read_in_their_order(store: Store) -> None:
    files = Files(store.database)
    for number in (10, 2, 0):
        files.add("a", "x", number, str(number).encode())
    files.add("a", "x1", 0, b"another file")
    files.add("ab", "x", 0, b"another owner")
    assert list(files.pieces("a", "x")) == [b"0", b"2", b"10"]


def test_the_files_of_an_owner_are_removed_and_no_others(store: Store) -> None:
    files = Files(store.database)
    for owner in ("a", "a.", "a0", "b"):
        files.add(owner, "x", 0, owner.encode())
    files.remove("a")
    assert list(files.pieces("a", "x")) == []
    assert [list(files.pieces(owner, "x")) for owner in ("a.", "a0", "b")] == [[b"a."], [b"a0"], [b"b"]]
