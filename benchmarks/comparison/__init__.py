"""The comparison of levinv with other libraries.

`works`: the problems and levinv's calls. `peers`: the calls of other libraries. `promises`: what
levinv promises. `timing`: how time is measured. `machine`: the machine and the versions. `report`:
the tables.
"""
