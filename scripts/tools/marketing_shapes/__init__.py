"""Derives what the simulator's interfaces take and give (marketing_simulator/shapes.json).

The catalogue's examples cross the shipped JSON bindings to the interfaces, in process; further requests are in
probes.py. What an interface *reads* is its request, what it *answered*, merged, is its answer.
"""
