"""The cull command: pictures chosen from a table of scores, listed, filed away or rated."""
