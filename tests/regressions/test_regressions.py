"""Inputs that were once answered wrongly: a file each, named after what was wrong.

The judge of the torture holds each answer against the exact truth. A new file is written by

    python -m tests.torture --seed SEED --only INDEX --freeze NAME
"""
import pathlib

import pytest

from torture import frozen

FILES = {path.stem: path for path in sorted(pathlib.Path(__file__).parent.glob("*.json"))}


@pytest.mark.parametrize("name", FILES)
def test_no_longer_wrong(name):
    case = frozen.load(FILES[name])
    verdict, note = case.verdict()
    assert verdict != "failed", f"{case.call}: {note}"


def test_the_files_are_found():
    assert len(FILES) >= 44
