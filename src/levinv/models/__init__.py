"""Fitted regressions of statsmodels and scikit-learn: hat values and leave-one-out diagnostics.

``fitted`` says what levinv needs of a fit. ``from_statsmodels`` and ``from_sklearn`` read it from
the attributes of the fit, ``reading`` chooses between them; none of them imports either library.
``hat_values`` and ``diagnostics`` are the public functions, and ``levinv.audit`` reads fits, too.

For the command line, ``fit`` finds the coefficients by Fisher scoring, with ``likelihood`` and, for
responses that have no fit, ``separation``.
"""
