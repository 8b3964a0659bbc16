"""The methods that need a starting point."""
import numpy as np

import levinv


def local(args):
    """Local methods, n = 60, d = 5: trust region from 0.1 away reaches x to 1e-7 in 75 %; gradient
    descent from 0.03 away lowers the loss by 1e3, in 90 % (else: another stationary point).
    """
    held = True
    for method, away in (("trust-region", 0.1), ("newton", 0.01), ("gradient-descent", 0.03)):
        falls, reached = [], 0
        count = 20 * args.repeats
        for seed in range(count):
            rng = np.random.default_rng(seed)
            A, b, x = rng.standard_normal((60, 5)), rng.standard_normal(60), rng.standard_normal(5)
            c = levinv.leverage_scores(A, slack=A @ x - b)
            direction = rng.standard_normal(5)
            x0 = x + away * direction / np.linalg.norm(direction)
            result = levinv.invert_scores(A, b, c, x0=x0, method=method)
            reached += np.linalg.norm(result.x - x) <= 1e-7
            falls.append(levinv.ScoreLoss(A, b, c).fun(x0) / max(result.fun, 1e-300))
        fell = int(np.count_nonzero(np.array(falls) >= 1e3))
        print(f"{method:16} from {away} away: x to 1e-7 in {reached} of {count}, "
              f"loss down by 1e3 in {fell}, at least by {min(falls):.1f}", flush=True)
        held &= reached >= 0.75 * count if method == "trust-region" else fell >= 0.9 * count
    return held
