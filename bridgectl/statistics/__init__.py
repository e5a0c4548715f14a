"""What the front counted of requests, as figures, files and a page."""
