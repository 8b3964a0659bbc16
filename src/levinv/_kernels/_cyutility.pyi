# Nothing for callers: what Cython puts into every module, generated once and shared.
