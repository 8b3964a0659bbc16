"""
An audit before scores are published
====================================

You have a model and would like to publish leverage scores of it. ``audit`` considers an attacker
who has the data. It predicts how precisely the attacker finds the model, runs the attack, and says
how much rounding or noise keeps the model secret.
"""

# %%
# The report
# ----------
# The model predicts how often people see a doctor from their insurance and health. The data are a
# part of the RAND health insurance experiment, which ships with statsmodels. The model is fitted to
# every other person. The report keeps the names of the columns of the data frame.

import matplotlib.pyplot as plt
import statsmodels.api as sm

from levinv import audit, plot

data = sm.datasets.randhie.load().data.iloc[:2000]
A = sm.add_constant(data.drop(columns="mdvis"))
b = data["mdvis"]
x = sm.OLS(b[::2], A[::2]).fit().params

report = audit(A, b, x, decimals=4)
print(report.to_text())

# %%
# Four pictures
# -------------
# The first picture shows how precisely the attacker finds x for each number of decimals. The second
# shows how precisely the attacker finds each coefficient from the audited scores. The third shows
# which rows have the most informative scores. The fourth shows how many directions of x exceed the
# noise.

fig, axes = plt.subplots(2, 2, figsize=(9, 8), layout="constrained")
plot.error_against_decimals(report, axes[0, 0])
plot.coefficients(report, axes[0, 1])
plot.row_influence(report, axes[1, 0])
plot.singular_values(report, axes[1, 1])
plt.show()

# %%
# How much rounding, how much noise?
# ----------------------------------
# ``safe_decimals(0.1)`` and ``safe_noise(0.1)`` keep every coefficient's standard error above a
# tenth of its size.

print("decimals:", report.safe_decimals(0.1))
print("noise:   ", f"{report.safe_noise(0.1):.2g}")
