"""What an application with a sandbox key is answered: the catalogue's recorded examples, as real requests are."""
