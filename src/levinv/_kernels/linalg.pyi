# Nothing for Python: what is here other kernels call, by linalg.pxd.
