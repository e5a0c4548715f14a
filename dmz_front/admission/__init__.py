"""Who may ask, how often, and what the fields of a request say: decided before anything is done."""
