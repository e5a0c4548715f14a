"""Payment orders: one payment, many write-offs."""
