"""The scorer in the interfaces of other libraries."""
