"""
Leverage scores give a regression away
======================================

A hospital fits a linear model of the progress of diabetes to half of its patients. It keeps the
model secret. It then fits a model to *all* patients with weights 1/residual², as estimators for
unequal variances do. It publishes the diagnostics that every package prints with a weighted fit:
one leverage score for each patient, a number between 0 and 1. The measurements are public. Do the
scores reveal the secret model?
"""

# %%
# The secret fit, and what is published
# -------------------------------------
# The data ship with levinv: 442 patients, an intercept and ten measurements in their own units.
# statsmodels computes the model and the weighted fit.

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm

from levinv import invert_scores
from levinv.data import load_diabetes

A, b, names = load_diabetes()
half = np.random.default_rng(0).permutation(len(b))[: len(b) // 2]
secret = sm.OLS(b[half], A[half]).fit().params

residual = A @ secret - b
weighted = sm.GLM(b, A, var_weights=residual**-2.0).fit()
published = weighted.get_influence().hat_matrix_diag
print(f"{len(published)} scores between {published.min():.1e} and {published.max():.3f}")

# %%
# From the scores back to the model
# ---------------------------------
# The attacker has the measurements ``A``, the outcomes ``b`` and the scores, but no residual and no
# starting point. Without the scores the attacker can only fit a new model to all patients.

found = invert_scores(A, b, published, rng=0)
refit = np.linalg.lstsq(A, b, rcond=None)[0]

print(f"{'':12}{'secret':>14}{'from scores':>16}{'refit':>12}")
for name, *row in zip(names, secret, found.x, refit, strict=True):
    print(f"{name:12}{row[0]:14.8f}{row[1]:16.8f}{row[2]:12.4f}")
print(f"\nunique: {found.unique}")

# %%
# All digits are right, and ``found.unique`` says that no other coefficients have these scores.
#
# Does rounding help?
# -------------------
# The attack is repeated with fewer and fewer decimals. The standard errors in the result are the
# Cramér–Rao bound: with normal errors, no unbiased method does better. Each error of a coefficient
# is multiplied by the root mean square of its column, so that it measures the effect on the
# predictions.

share = np.sqrt(np.mean(A**2, axis=0))


def size(change):
    return np.linalg.norm(share * change) / np.linalg.norm(share * secret)


decimals = np.arange(2, 13)
error, bound = [], []
for k in decimals:
    result = invert_scores(A, b, published.round(k), decimals=k, rng=0)
    error.append(size(result.x - secret))
    bound.append(size(result.standard_errors))

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.semilogy(published, ".", color="#0b5d8a", markersize=4)
left.set(xlabel="patient", ylabel="leverage score", title="published: a score for each patient")
right.semilogy(decimals, bound, color="#0b5d8a", label="Cramér–Rao bound")
right.semilogy(decimals, error, "o", color="#c2410c", label="found from the scores")
right.axhline(size(refit - secret), color="#6b7280", linestyle="--", label="refit without scores")
right.set(
    xlabel="decimals in the scores",
    ylabel="relative error of the coefficients",
    title="found: the secret model",
)
right.legend(frameon=False)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

print(f"three decimals: {error[1]:.1e}, refit: {size(refit - secret):.1e}")
