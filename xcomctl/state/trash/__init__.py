"""The trash: where objects stay between the collection that took them and the day on which they are purged."""
