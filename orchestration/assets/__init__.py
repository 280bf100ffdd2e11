"""The assets. An asset that writes a table has the table's name in the lake as its key."""
