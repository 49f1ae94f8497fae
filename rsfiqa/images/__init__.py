"""Images: listing, loading, resizing, distorting."""
