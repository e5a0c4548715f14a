"""What is judged of what was seen, one module for each part; the order of the rules is in troubles.py."""
