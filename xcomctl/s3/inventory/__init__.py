"""S3 Inventory: listings that AWS writes into a bucket, read in the place of one that is made now."""
