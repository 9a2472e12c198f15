"""Where paths lead, step by step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.sandbox.places import Places, way_to


def test_every_link_on_a_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a" / "real").mkdir(parents=True)
    (tmp_path / "a" / "second").symlink_to("../a/real")
    (tmp_path / "first").symlink_to(tmp_path / "a" / "second")
    assert way_to(f"{tmp_path}/first/x/../new") == (
        f"{tmp_path}/first",
        f"{tmp_path}/a/second",
        f"{tmp_path}/a/real/new",
    )


NAMES = st.sampled_from(["a", "b", "c", "..", "."])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(links=st.dictionaries(st.sampled_from("abc"), PATHS, max_size=3), path=PATHS)
@settings(deadline=None, max_examples=100)
def test_a_way_ends_where_the_system_says(links: dict[str, str], path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve() / "x" / "y" / "z"
        base.mkdir(parents=True)
        for name, target in links.items():
            (base / name).symlink_to(target)
        asked = f"{base}/{path}"
        try:
            expected = str(Path(asked).resolve(strict=True))
        except (OSError, RuntimeError):
            # Nothing is there, or the links go round in circles.
            way_to(asked)
            return
        assert way_to(asked)[-1] == expected


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a/b")
    assert way_to(f"{tmp_path}/a/c")


@pytest.mark.parametrize("becomes", ["link", "folder"])
def test_a_place_is_the_one_that_it_was_at_first(tmp_path: Path, becomes: str) -> None:
    places = Places()
    given = str(tmp_path / "later")
    assert places.of(given) == given
    assert not places.has_moved(given)
    (tmp_path / "other").mkdir()
    if becomes == "link":
        os.symlink("other", given)
    else:
        os.mkdir(given)
    assert places.of(given) == given
    assert places.has_moved(given) == (becomes == "link")
