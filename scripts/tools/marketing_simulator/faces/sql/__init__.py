"""The SQL face: interface tables in a database, which the marketing system fills and whose request tables it polls."""
