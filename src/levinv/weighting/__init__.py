"""The first of levinv's two maps: from the slack to the log weights of the rows."""
