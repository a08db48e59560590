-- References under a root of which no possible object was listed; what they mean is asked of the store afterwards.

SELECT r.row_id, r.reference_no, r.confidence, r.bucket, r.key
FROM refs r
JOIN rows w ON w.row_id = r.row_id AND NOT w.archived
WHERE r.under_root
  AND (r.row_id, r.reference_no) NOT IN (
      SELECT f.row_id, f.reference_no FROM refs f JOIN objects o ON o.bucket = f.bucket AND o.key = f.key
  )
ORDER BY r.row_id, r.reference_no
