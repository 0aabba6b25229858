"""Applications at the gateway: each in a process of its own, fed with committed records.

registry.py  which there are         host.py     feeds one, keeps its answers: a thread
child.py     the process around one  keeping.py  snapshots and artefacts on disk
pipe.py      what the two say to each other; process.py begins, asks and ends it
live.py      live frames that wait for one
"""
