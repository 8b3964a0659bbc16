"""Tables of other libraries: pandas, polars, pyarrow, xarray, NumPy's masked arrays.

:mod:`levinv.tables.values` turns a table into a float64 array, :mod:`levinv.tables.labels` brings
labelled vectors into the order of A's rows and columns. :mod:`levinv._validate` calls the former,
so that every public function takes the same tables.
"""
