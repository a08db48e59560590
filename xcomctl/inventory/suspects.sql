-- References under a root of which no possible object was listed; what they mean is asked of the store afterwards.

SELECT r.row_id, r.reference_no, r.confidence, r.bucket, r.key
FROM refs r
JOIN rows w ON w.row_id = r.row_id AND NOT w.archived
WHERE r.under_root
  AND NOT EXISTS (SELECT 1 FROM met_refs m WHERE m.row_id = r.row_id AND m.reference_no = r.reference_no)
ORDER BY r.row_id, r.reference_no
