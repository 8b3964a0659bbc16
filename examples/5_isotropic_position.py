"""
Points in isotropic position, and a robust covariance
=====================================================

``forster_weights`` finds row weights w such that all leverage scores of diag(√w) A are equal. Let
M = Σ wᵢ aᵢaᵢᵀ. Then wᵢ aᵢᵀM⁻¹aᵢ = d/n for every point, or

.. math:: M = \\frac d n \\sum_i \\frac{a_i a_i^\\mathsf{T}}{a_i^\\mathsf{T} M^{-1} a_i}.

In statistics M is Tyler's estimator of the shape of a cloud of points. It does not depend on the
lengths of the aᵢ, so heavy tails do no harm. In geometry the points M^(-1/2) aᵢ, scaled to length
1, are in *radial isotropic position*: their second moments are I/d, as for points that are spread
evenly over all directions.
"""

# %%
# A cloud with heavy tails
# ------------------------
# The points have a bivariate Cauchy distribution. It has no covariance, but it has a shape.

import matplotlib.pyplot as plt
import numpy as np

from levinv import forster_weights, leverage_scores

rng = np.random.default_rng(1)
shape = np.array([[4.0, 2.4], [2.4, 2.0]])
gaussian = rng.multivariate_normal([0, 0], shape, size=300)
A = gaussian / np.abs(rng.standard_normal(300))[:, None]

weights = forster_weights(A)
scores = leverage_scores(A, weights=weights)
print(f"scores before: {leverage_scores(A).min():.1e} to {leverage_scores(A).max():.2f}")
print(f"scores after:  {scores.min():.12f} to {scores.max():.12f} (d/n = {2 / 300:.12f})")

# %%
# The shape
# ---------
# The estimators determine the shape up to scale. Both are scaled to the trace of the true shape.

tyler = A.T @ (weights[:, None] * A)
covariance = A.T @ A
tyler, covariance = (np.trace(shape) * m / np.trace(m) for m in (tyler, covariance))
for name, m in (("true", shape), ("Tyler", tyler), ("covariance", covariance)):
    print(f"{name:12}{np.round(m, 2).tolist()}")

# %%
# The points, before and after
# ----------------------------
# The directions are drawn as unit vectors. Before, they are concentrated along the long axis of the
# cloud. After, their second moments are those of the circle.

values, vectors = np.linalg.eigh(tyler)
after = A @ vectors / np.sqrt(values) @ vectors.T
after /= np.linalg.norm(after, axis=1)[:, None]
before = A / np.linalg.norm(A, axis=1)[:, None]
print("second moments before", np.round(before.T @ before / 300, 3).tolist())
print("second moments after ", (np.round(after.T @ after / 300, 3) + 0.0).tolist())

fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
around = np.linspace(0, 2 * np.pi, 200)
circle = np.column_stack([np.cos(around), np.sin(around)])
axes[0].plot(*A.T, ".", color="#6b7280", markersize=4, alpha=0.6)
for m, color, label in (
    (shape, "#111827", "true"),
    (tyler, "#0b5d8a", "Tyler"),
    (covariance, "#c2410c", "covariance"),
):
    axes[0].plot(*(2.5 * circle @ np.linalg.cholesky(m).T).T, color=color, label=label)
axes[0].set(xlim=(-9, 9), ylim=(-9, 9), title="the cloud and its shape")
axes[0].legend(frameon=False, fontsize="small", loc="upper left")
for ax, points, title in (
    (axes[1], before, "directions before"),
    (axes[2], after, "directions after"),
):
    ax.plot(*circle.T, color="#e5e7eb", zorder=0)
    inner = 0.93 * points  # a tick for each point
    ax.plot(*np.stack([inner, points], axis=1).T, color="#0b5d8a", linewidth=0.8, alpha=0.7)
    moments = points.T @ points / len(points)
    ax.plot(*(circle @ np.linalg.cholesky(moments).T).T, color="#c2410c")
    ax.set(title=title, xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))
    ax.axis("off")
for ax in axes:
    ax.set_aspect("equal")
plt.show()

# %%
# The orange ellipses show the second moments of the directions. After, the ellipse is a circle.
