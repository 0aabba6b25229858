"""What an attacker and a bad day bring, as code: a row an attack. `bench/hostile.py` runs them.

row.py       what a row is, and the list of them       healthy.py  the device beside the attack
site.py      a gateway under attack, its devices       gateway_*.py  the rows, by what they attack
"""
