"""Which of the installed engines answers fastest on this machine, and answers alike.

`auto` opens a detector that finds out by itself; the others are its steps: candidates, pictures
to compare answers on, trials in child processes, the decision, and keeping it.
"""
