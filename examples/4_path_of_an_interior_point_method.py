"""
An interior-point path, read back from its scores
=================================================

To minimise cᵀx over the polygon {x : A x ≥ b}, an interior-point method with Vaidya's volumetric
barrier follows the minimisers of

.. math:: t\\, c^\\mathsf{T} x + V(x),
          \\qquad V(x) = \\tfrac12 \\log\\det A^\\mathsf{T} S^{-2} A,
          \\qquad S = \\mathrm{diag}(A x - b),

as t grows. At each step it computes the leverage scores of the rows of :math:`S^{-1} A`, one for
each side of the polygon. Suppose that it logs the scores and nothing else. Can the path be
recovered?
"""

# %%
# Follow the path
# ---------------
# A point of the path has ∇V(x) = -t c. ``invert_gradient`` finds x from this gradient. The lines
# divide the plane into cells. ``signs=1`` selects the cell in which all slacks are positive. Each
# point is the starting point for the next one.

import matplotlib.pyplot as plt
import numpy as np

from levinv import invert_gradient, invert_many, leverage_scores

angle = np.array([0.0, 0.6, 1.5, 1.9, 2.9, 3.5, 4.4, 5.3])
A = -np.column_stack([np.cos(angle), np.sin(angle)]) @ [[0.7, 0.0], [0.3, 1.0]]
b = -np.ones(len(angle))
c = np.array([-0.3, -1.0])

times = np.geomspace(0.05, 5000, 40)
path, x = [], None
for t in times:
    x = invert_gradient(A, b, -t * c, signs=1, x0=x).x
    path.append(x)
path = np.array(path)

logged = leverage_scores(A, slack=path @ A.T - b)
print(f"{len(path)} points, {logged.shape[1]} scores each")

# %%
# Read it back
# ------------
# ``invert_many`` inverts all points in one call. ``signs`` are unknown: it does not know that the
# points lie inside the polygon.

found = invert_many(A, np.broadcast_to(b, logged.shape), logged, rng=0)
error = np.linalg.norm(found.x - path, axis=1)
print(
    f"found {found.success.sum()} of {len(path)}, unique: {found.unique.all()}, "
    f"largest error {error.max():.0e}"
)

# %%
# Each side of the polygon has the colour of its score. As the path approaches the corner, the
# scores of the two sides tend to 1. Their difference from 1 determines the distance.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
corners = np.array([np.linalg.solve(A[[i - 1, i]], b[[i - 1, i]]) for i in range(len(b))])
left.fill(*corners.T, color="#f3f4f6")
for i, color in enumerate(plt.colormaps["Dark2"].colors):
    left.plot(*corners[[i, (i + 1) % len(b)]].T, color=color, linewidth=2.5)
    right.semilogx(times, logged[:, i], color=color)
left.plot(*path.T, color="#0b5d8a", label="the path")
left.plot(*found.x.T, "o", color="#c2410c", markersize=3.5, label="read back from scores")
start = path[0] + [0.5, -0.7]
left.annotate("", start - 0.5 * c, start, arrowprops={"arrowstyle": "->", "color": "#4b5563"})
left.annotate("$-c$", start - 0.25 * c + [0.08, 0], color="#4b5563")
left.set(aspect="equal", title="in the polygon")
left.axis("off")
left.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, -0.14), ncols=2)
right.set(xlabel="t", ylabel="leverage score", ylim=(0, 1.02), title="what was logged")
right.spines[["top", "right"]].set_visible(False)
plt.show()
