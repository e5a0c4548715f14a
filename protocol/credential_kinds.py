"""What applications may have to show beside or instead of a key, by name: for who only tells of them."""

SIGNATURE, CERTIFICATE = "signature", "certificate"
