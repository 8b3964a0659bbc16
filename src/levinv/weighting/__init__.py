"""The first of levinv's two maps: from the linear predictor to the log weights of the rows.

``protocol`` says what a weighting is and holds powers and exponentials; ``peaked`` the binomial
regressions, ``monotone`` the negative binomial; ``composed`` builds others from a family and a
link; ``observed`` those of observed information; ``names`` finds weightings by the names of
statistics. ``branches`` goes back from weights to η.
"""
from levinv.weighting.names import glm, power
from levinv.weighting.observed import observed
from levinv.weighting.protocol import Weighting

__all__ = ["Weighting", "glm", "observed", "power"]
