"""Ids: what is made of digits is a UUID by its form."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from weaudit.items.ids import uuid4


@given(st.binary(min_size=16, max_size=16))
def test_digits_become_a_uuid_of_version_4_as_the_standard_library_makes_it(raw: bytes) -> None:
    assert uuid4(raw.hex()) == str(uuid.UUID(bytes=raw, version=4))


def test_of_more_digits_the_first_count() -> None:
    assert uuid4("0123456789abcdef" * 4) == uuid4("0123456789abcdef" * 2)
