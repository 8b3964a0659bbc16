"""
The same with your own scikit-learn model
=========================================

The model is a cross-validated pipeline of scikit-learn. It is fitted to half of the wines that ship
with scikit-learn. It predicts the alcohol of a wine from twelve other measurements. Its
coefficients are a trade secret. What do leverage scores reveal of them, if they are rounded to
three decimals?
"""

# %%
# The model
# ---------
# levinv needs the model as ``A @ x`` in the units of the data. So the slopes are divided by the
# scales of the scaler, and the intercept becomes the coefficient of a column of ones.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from levinv import invert_scores, leverage_scores

data = load_wine()
X, y, names = data.data[:, 1:], data.data[:, 0], data.feature_names[1:]
X_train, X_rest, y_train, y_rest = train_test_split(X, y, test_size=0.5, random_state=0)
model = make_pipeline(StandardScaler(), RidgeCV(np.geomspace(0.01, 100, 9))).fit(X_train, y_train)

scaler, ridge = model
slope = ridge.coef_ / scaler.scale_
secret = np.append(ridge.intercept_ - slope @ scaler.mean_, slope)
A = np.column_stack([np.ones(len(X)), X])
print("A @ secret is what the model predicts:", np.allclose(A @ secret, model.predict(X)))

# %%
# What is published, and what is found
# ------------------------------------
# The rows are divided by their residuals, and the scores of the resulting matrix are published.
# ``noise`` is the standard deviation of rounding to three decimals.

published = leverage_scores(A, slack=y - model.predict(X)).round(3)
found = invert_scores(A, y, published, noise=1e-3 / 12**0.5, rng=0)
off = np.abs(found.x - secret)
print(found.message)
print(
    f"coefficients to {np.max(off / np.abs(secret)):.0e} of their size, "
    f"all within {np.max(off / found.standard_errors):.1f} standard errors"
)

# %%
# The stolen model has the same predictions as the secret one, even for wines that neither model has
# seen. (These wines are made up, within the range of the real ones.) The grey points are from a
# ridge regression that anybody could fit to all wines, without the scores.

lowest, highest = np.quantile(X, [0.05, 0.95], axis=0)
new = np.random.default_rng(0).uniform(lowest, highest, size=(1000, len(names)))
new = np.column_stack([np.ones(len(new)), new])
anybody = make_pipeline(StandardScaler(), RidgeCV(np.geomspace(0.01, 100, 9))).fit(X, y)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
unit = X.std(axis=0)
places = np.arange(len(names))
left.barh(places, secret[1:] * unit, color="#0b5d8a", alpha=0.3, label="secret")
left.plot(found.x[1:] * unit, places, "o", color="#c2410c", markersize=4, label="from scores")
left.plot(
    (anybody[1].coef_ / anybody[0].scale_) * unit,
    places,
    "x",
    color="#6b7280",
    label="fitted without scores",
)
left.set_yticks(places, [name.replace("_", " ")[:22] for name in names], fontsize="small")
left.invert_yaxis()
left.set(xlabel="effect of one standard deviation", title="coefficients")
left.legend(
    frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.3, -0.16), ncols=3
)
right.plot(new @ secret, anybody.predict(new[:, 1:]), ".", color="#6b7280", markersize=3)
right.plot(new @ secret, new @ found.x, ".", color="#c2410c", markersize=4)
right.set(xlabel="secret model", ylabel="stolen model", title="alcohol of 1000 made-up wines, %")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

difference = np.abs(new @ found.x - new @ secret).max()
print(
    f"largest difference of predictions: {difference:.0e} % alcohol, without scores "
    f"{np.abs(anybody.predict(new[:, 1:]) - new @ secret).max():.1f} %"
)
