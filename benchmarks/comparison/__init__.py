"""levinv beside what users have: the works (`works`), who does them (`peers`), what levinv promises
(`promises`), how time is taken (`timing`), on what machine (`machine`), and the tables (`report`).
"""
