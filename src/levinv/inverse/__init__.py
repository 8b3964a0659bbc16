"""From leverage scores back to what they came from: row weights, slack, signs, x."""
