"""One module a command group, each with a typer `app`; listed in bridgectl/cli.py and imported when used."""
