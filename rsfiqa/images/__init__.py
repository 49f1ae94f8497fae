"""Images: listing, loading, resizing, flags, distortions."""
