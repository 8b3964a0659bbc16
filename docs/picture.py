"""The picture of README.md: ``python docs/picture.py`` (needs the extra ``docs``)."""
import pathlib
import runpy

import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).parent

plt.switch_backend("Agg")
runpy.run_path(str(HERE.parent / "examples" / "1_privacy_of_a_regression.py"))
plt.savefig(HERE / "regression.png", dpi=100)
