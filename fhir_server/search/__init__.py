"""Search without I/O: query string -> Query, resource -> index entries, Query -> MongoDB filter, paging positions."""
