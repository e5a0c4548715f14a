"""The programs behind the entry points of scripts/, each a package with a README.md of its own."""
