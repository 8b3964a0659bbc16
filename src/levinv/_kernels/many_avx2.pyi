from levinv._kernels.many import RECORDS as RECORDS
from levinv._kernels.many import has_avx2 as has_avx2
from levinv._kernels.many import invert as invert
from levinv._kernels.many import stages as stages
from levinv._kernels.many import weights as weights
