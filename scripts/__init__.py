"""Entry points to run from the project's folder; the programs behind them are in tools/."""
