"""`intranet-bridge try`: one binding tried by the code that will serve it, shown step by step and masked."""
