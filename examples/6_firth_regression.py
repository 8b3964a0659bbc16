"""
Firth's regression where maximum likelihood diverges
====================================================

A logistic regression on few rows often has no estimate. If a combination of the columns separates
the ones from the zeros, then the likelihood grows with every multiple of that combination, and the
coefficients go to infinity. Firth's regression adds the penalty ½ log det(Aᵀ diag(w) A) to the
log-likelihood, where w are the weights of Fisher scoring. Its maximum is finite for all data.

``JeffreysPenalty`` is this penalty, with its exact gradient and Hessian. So Newton's method of
SciPy finds the maximum in a few steps.
"""

# %%
# Separated data
# --------------
# In the American National Election Study of 1996, 944 people said whether they would vote for Dole
# or for Clinton. The data ship with levinv. A pilot study has asked only the first 60 of them. The
# columns are scaled to root mean square 1, so that coefficients are comparable.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from levinv import JeffreysPenalty
from levinv.data import load_anes96

everybody, votes, names = load_anes96()
everybody = everybody / np.sqrt(np.mean(everybody**2, axis=0))
A, y = everybody[:60], votes[:60]
print(f"{len(y)} people, {int(y.sum())} for Dole, {A.shape[1]} coefficients")

# %%
# Maximum likelihood, by Newton's method:


def information(A, x):
    p = expit(A @ x)
    return A.T @ ((p * (1 - p))[:, None] * A)


def maximum_likelihood(A, y, steps):
    x = np.zeros(A.shape[1])
    for _ in range(steps):
        x = x + np.linalg.solve(information(A, x), A.T @ (y - expit(A @ x)))
        yield x


print("step  largest coefficient  log-likelihood  least (2y - 1) Ax")
likelihood_path = list(maximum_likelihood(A, y, 18))
for step, x in enumerate(likelihood_path, start=1):
    if step % 3 == 0:
        margins = (2 * y - 1) * (A @ x)
        print(
            f"{step:4}{abs(x).max():17.1f}{-np.logaddexp(0, -margins).sum():20.1e}"
            f"{margins.min():17.2f}"
        )

# %%
# The last column is the proof. Once it is above 0, the linear predictor A x is positive for
# everybody who votes for Dole and negative for everybody else. Then 2x has a larger likelihood than
# x, and 4x a larger one still: there is no maximum. A program that stops somewhere on this way
# prints large coefficients with huge standard errors, and they mean nothing.
#
# Firth's regression
# ------------------
# The function to minimise is the negative log-likelihood less the penalty. Its Hessian is exact.

penalty = JeffreysPenalty(A, weighting="binomial")


def loss(x):
    eta = A @ x
    return np.logaddexp(0, eta).sum() - y @ eta - penalty.fun(x)


def gradient(x):
    return A.T @ (expit(A @ x) - y) - penalty.grad(x)


def hessian(x):
    return information(A, x) - penalty.hess(x)


firth_path = []
fit = minimize(
    loss,
    np.zeros(A.shape[1]),
    jac=gradient,
    hess=hessian,
    method="trust-exact",
    callback=lambda x: firth_path.append(x.copy()),
    options={"gtol": 1e-7},
)
for step, x in enumerate(firth_path, start=1):
    print(f"step {step:2}, largest entry of the gradient {abs(gradient(x)).max():.0e}")
print(f"converged: {fit.success}")

# %%
# At the end each step squares the size of the gradient: that is what the exact Hessian is for. With
# many columns, ``method="trust-ncg"`` with ``hessp=`` needs no d × d matrix.
#
# What the sample says
# --------------------
# The standard errors are the roots of the diagonal of the inverse information. Beside them is the
# maximum-likelihood fit to all 944 people, whose votes are not separated.

errors = np.sqrt(np.diag(np.linalg.inv(information(A, fit.x))))
*_, of_all = maximum_likelihood(everybody, votes, 12)
print(f"{'':12}{'Firth, 60':>10}{'error':>8}{'all 944':>10}")
for name, *row in zip(names, fit.x, errors, of_all, strict=True):
    print(f"{name:12}{row[0]:10.2f}{row[1]:8.2f}{row[2]:10.2f}")
off = np.abs(fit.x - of_all) / errors
print(f"largest difference: {off.max():.1f} standard errors")

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for path, color, label in (
    (likelihood_path, "#c2410c", "maximum likelihood"),
    (firth_path, "#0b5d8a", "Firth"),
):
    left.plot(range(1, len(path) + 1), [abs(x).max() for x in path], "o-", color=color, label=label)
left.set(xlabel="step of Newton's method", ylabel="largest coefficient", yscale="log")
left.set_xticks(range(0, 19, 3))
left.legend(frameon=False)
places = np.arange(len(names))
right.errorbar(fit.x, places, xerr=2 * errors, fmt="o", color="#0b5d8a", label="Firth, 60 people")
right.plot(of_all, places, "D", color="#111827", label="maximum likelihood, all 944")
right.axvline(0, color="#e5e7eb", zorder=0)
right.set_yticks(places, names)
right.invert_yaxis()
right.set(xlabel="coefficient, ± 2 standard errors")
right.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1))
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The same coefficients come from the package ``firthmodels``, which solves the equations of Firth's
# score by Fisher scoring; the :doc:`comparison </comparison>` has errors and times of both. For a
# plain logistic regression that package is faster, since its steps do not need the Hessian of the
# penalty. The penalty of levinv also serves models that no package fits: it takes every family and
# link, offsets, prior weights and sparse designs, and is one term of a loss of your own. For
# canonical links it removes the bias of first order. For other links it is Jeffreys' prior, but no
# longer Firth's correction.
