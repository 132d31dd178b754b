"""What every feed does the same way, whatever it is made of: parameters, pages, walks, rows."""
