import gc
import json
import pathlib

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("levinv", deadline=None, derandomize=True)
hypothesis.settings.load_profile("levinv")

GOLDEN = json.loads(pathlib.Path(__file__).with_name("golden.json").read_text())


@pytest.fixture(params=GOLDEN)
def golden(request):
    """One case of golden.json: arrays by name, computed with 60 digits and rounded; and its
    name.
    """
    case = {key: np.array(value) for key, value in GOLDEN[request.param].items()}
    return case | {"name": request.param}


@pytest.fixture
def rng():
    return np.random.default_rng(20240421)


@pytest.fixture
def collector_at_rest():
    """Python drops an interrupt that strikes in a callback of the collector, such as hypothesis
    has.
    """
    gc.disable()
    yield
    gc.enable()
