"""What is published: news, questions, policies, outlets, outages. Written and reviewed inside, answered by the bridge.

``life`` decides who may do what and what is due, ``kinds`` what each kind has in it, ``answers`` what callers are told;
all three are pure. ``records`` reads and writes, ``service`` puts them together.
"""
