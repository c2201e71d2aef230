"""A service's attributes, a file per family; each reader takes the draft and the attribute's value."""
