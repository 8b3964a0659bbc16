"""For test_audit.py until it imports the room itself."""
from acceptance_rooms.audit import error_ratios, real_sets

__all__ = ["error_ratios", "real_sets"]
