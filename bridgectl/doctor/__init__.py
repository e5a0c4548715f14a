"""`bridgectl doctor`: what is looked at, each subject a module of facts, of judgements about them, and of looking.

==================  ==============================================================================================
finding             one line of the report
installation        the daemons' configuration files, as far as bridgectl needs them
listeners           who listens where, from /proc
one_way             the way inward: tried, and the rule set that closes it
wire                a client of the broker that may misbehave
broker              TLS, client certificates, rights, version
clocks              presence and other dated messages against our clock
files               permissions, disk space, expiry and age
health              readiness, queues, dead letters
examination         everything, in the order an operator reads it
==================  ==============================================================================================

A judgement is a pure function: facts in, findings out. What looks at the world decides nothing.
"""
